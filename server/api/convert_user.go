package api

import (
	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

func userFromProto(u *attunev1.User, names *features.Pseudonyms) store.User {
	return store.User{
		Key: names.User(u.GetId()), ID: u.GetId(), Consent: consentFromProto(u.GetConsent()),
		Market: u.GetMarket(), Languages: u.GetLanguages(),
		Personal: store.Personal{
			AgeBand: u.GetAgeBand(), Gender: u.GetGender(), Region: u.GetRegion(), Occupation: u.GetOccupation(),
			IncomeBand: u.GetIncomeBand(), Payment: u.GetPaymentMethod(), Delivery: u.GetDeliveryPreference(),
			Registered: TimeOf(u.GetRegistered()), Friends: u.GetFriends(), Follows: u.GetFollows(), Groups: u.GetGroups(),
			Attributes: u.GetAttributes(),
		},
	}
}

func userToProto(u *store.User) *attunev1.User {
	p := &u.Personal
	return &attunev1.User{
		Id: u.ID, Consent: consentToProto(u.Consent), Market: u.Market, Languages: u.Languages,
		AgeBand: p.AgeBand, Gender: p.Gender, Region: p.Region, Occupation: p.Occupation, IncomeBand: p.IncomeBand,
		PaymentMethod: p.Payment, DeliveryPreference: p.Delivery, Registered: timeToProto(p.Registered),
		Friends: p.Friends, Follows: p.Follows, Groups: p.Groups, Attributes: p.Attributes,
		CreateTime: timeToProto(u.Created), UpdateTime: timeToProto(u.Updated),
	}
}

func consentFromProto(c *attunev1.Consent) *features.Purposes {
	if c == nil {
		return nil
	}
	var p features.Purposes
	if c.GetPersonalisation() {
		p |= features.Personalisation
	}
	if c.GetMarketing() {
		p |= features.Marketing
	}
	if c.GetAnalytics() {
		p |= features.Analytics
	}
	return &p
}

func consentToProto(p *features.Purposes) *attunev1.Consent {
	if p == nil {
		return nil
	}
	return &attunev1.Consent{
		Personalisation: p.Has(features.Personalisation), Marketing: p.Has(features.Marketing), Analytics: p.Has(features.Analytics),
	}
}
