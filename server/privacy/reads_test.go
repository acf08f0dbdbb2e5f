package privacy

import (
	"maps"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// unnamed are methods that tell the auditor of whom their answers are, which
// name nobody; server/e2e's TestAnswersTellWhoAsked sees that they do.
var unnamed = map[string]bool{"DryRunRules": true}

// Whoever was told of is found in the answer, or named in the request: a method
// that reads persons' data in another way would leave them out of the list of
// those affected.
func TestEveryReadTellsOfWhom(t *testing.T) {
	reads := 0
	unwritten := map[string]bool{}
	protoregistry.GlobalFiles.RangeFilesByPackage("attune.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				m := f.Services().Get(i).Methods().Get(j)
				p, _ := proto.GetExtension(m.Options(), attunev1.E_Policy).(*attunev1.Policy)
				if p.GetPersonal() && p.GetAudit() == attunev1.Audit_AUDIT_UNSPECIFIED {
					unwritten[string(m.Name())] = true
				}
				if !p.GetPersonal() || p.GetAudit() != attunev1.Audit_AUDIT_READ {
					continue
				}
				reads++
				if m.Input().Fields().ByName("id") == nil && !listsPersons(m.Output()) && !unnamed[string(m.Name())] {
					t.Errorf("%s tells of persons that neither its request nor its answer names: give its rows the subject", m.FullName())
				}
			}
		}
		return true
	})
	// Answers to shoppers are written down by Asked, and what is collected is the
	// log's own and answered with a receipt; nothing else of persons goes unwritten.
	want := map[string]bool{"Collect": true, "CollectBatch": true, "CollectStream": true}
	for name := range unwritten {
		if noted("/attune.v1.RecommendationService/" + name) {
			want[name] = true
		}
	}
	if !maps.Equal(unwritten, want) {
		t.Errorf("got %v about persons that the audit log lacks, want %v", unwritten, want)
	}
	if reads < 10 {
		t.Errorf("got %d methods that read persons' data, want more: the search is blind", reads)
	}
}

// listsPersons reports whether a message is one that names a person, or has a
// list of such.
func listsPersons(m protoreflect.MessageDescriptor) bool {
	for _, p := range personFields {
		if m.FullName() == p.message {
			return true
		}
		for i := range m.Fields().Len() {
			if f := m.Fields().Get(i); f.IsList() && f.Message() != nil && f.Message().FullName() == p.message {
				return true
			}
		}
	}
	return false
}

// A method whose request can name a person, or whose answer can, is said to be
// personal, so that it is written down.
func TestWhoNamesPersonsIsPersonal(t *testing.T) {
	found := 0
	protoregistry.GlobalFiles.RangeFilesByPackage("attune.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				m := f.Services().Get(i).Methods().Get(j)
				p, _ := proto.GetExtension(m.Options(), attunev1.E_Policy).(*attunev1.Policy)
				where := namesPerson(m.Input(), map[protoreflect.FullName]bool{})
				if where == "" {
					where = namesPerson(m.Output(), map[protoreflect.FullName]bool{})
				}
				if where == "" {
					continue
				}
				found++
				if !p.GetPersonal() {
					t.Errorf("%s has %s and is not personal: its policy lets it read persons unwritten", m.FullName(), where)
				}
			}
		}
		return true
	})
	if found < 20 {
		t.Errorf("got %d methods that name persons, want more: the search is blind", found)
	}
}

// namesPerson is the first field, however deep, that names a person: one of
// personFields, or an id by its name.
func namesPerson(m protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) protoreflect.FullName {
	if seen[m.FullName()] {
		return ""
	}
	seen[m.FullName()] = true
	for _, p := range personFields {
		if m.FullName() == p.message {
			return m.FullName().Append(p.field)
		}
	}
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if f.Kind() != protoreflect.StringKind && f.Message() == nil {
			continue // a number of them
		}
		switch f.Name() {
		case "user", "users", "user_id", "user_ids", "session", "alias", "subject", "shopper", "person", "persons":
			return f.FullName()
		}
		if f.Message() != nil {
			if where := namesPerson(f.Message(), seen); where != "" {
				return where
			}
		}
	}
	return ""
}
