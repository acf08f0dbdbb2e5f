package privacy

import (
	"maps"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

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
				if m.Input().Fields().ByName("id") == nil && !listsPersons(m.Output()) {
					t.Errorf("%s tells of persons that neither its request nor its answer names: give its rows the subject", m.FullName())
				}
			}
		}
		return true
	})
	// Answers to shoppers have records of their own, and what shoppers did is the
	// log's; nothing else of persons goes unwritten.
	want := map[string]bool{
		"Collect": true, "CollectBatch": true, "CollectStream": true, "Recommend": true, "BatchRecommend": true, "DryRunRules": true,
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
