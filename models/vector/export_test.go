package vector

// OpenLargeAt is OpenAt for an index that is large whatever it has.
func OpenLargeAt(b []byte, file File) (Saved, error) { return openAt(b, file, 0) }
