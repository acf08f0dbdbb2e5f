package api

// PageRequest is what a request for a page of a list says of the page.
type PageRequest interface {
	GetPageSize() int32
	GetPageToken() string
}

// Page is a part of a list, as large as was asked for.
type Page struct {
	Size    int
	tokens  *Tokens
	purpose string
}

// Page begins the page of a list that r asks for, of size where it says none.
// It reads into after where the page before ended; of the first page, after
// stays as it is.
func (t *Tokens) Page(r PageRequest, purpose string, size int, after any) (Page, error) {
	if asked := int(r.GetPageSize()); asked > 0 {
		size = asked
	}
	p := Page{Size: size, tokens: t, purpose: purpose}
	if r.GetPageToken() == "" {
		return p, nil
	}
	return p, t.Open(purpose, r.GetPageToken(), after)
}

// Next is the token of the page that follows the one which ends at last.
func (p Page) Next(last any) (string, error) { return p.tokens.Seal(p.purpose, last) }

// Cut is what of list, which goes on past the page where there is more, is on
// the page, and the token of the page that follows, "" where none does. end says
// of the last of a page what the next begins after.
func Cut[T any](p Page, list []T, end func(*T) any) (on []T, next string, err error) {
	if len(list) <= p.Size {
		return list, "", nil
	}
	next, err = p.Next(end(&list[p.Size-1]))
	return list[:p.Size], next, err
}
