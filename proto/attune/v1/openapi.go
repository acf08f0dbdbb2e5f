// Package attunev1 is the API on the wire, generated from the protos beside it.
package attunev1

import _ "embed"

//go:embed attune.swagger.json
var openAPI []byte

// OpenAPI is the description of the REST form of the API, in OpenAPI 2.0 JSON.
// The caller must not change it.
func OpenAPI() []byte { return openAPI }
