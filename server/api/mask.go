package api

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// merge copies the fields that mask names from src into dst, two messages of
// one type. Lists and maps are replaced as a whole. Identity and times of the
// server cannot be named.
func merge(dst, src proto.Message, mask *fieldmaskpb.FieldMask) error {
	d, s := dst.ProtoReflect(), src.ProtoReflect()
	for _, path := range mask.GetPaths() {
		fd := d.Descriptor().Fields().ByName(protoreflect.Name(path))
		switch {
		case fd == nil:
			return fieldErrorf("update_mask", "no field %q: expected top-level fields of %s, in snake case", path, d.Descriptor().Name())
		case path == "id" || path == "create_time" || path == "update_time":
			return fieldErrorf("update_mask", "%q is set by the server and cannot be changed", path)
		case s.Has(fd):
			d.Set(fd, s.Get(fd))
		default:
			d.Clear(fd)
		}
	}
	return nil
}
