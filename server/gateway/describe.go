package gateway

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// object is a part of the description: JSON as it comes.
type object = map[string]any

// refusals are the answers besides 200 that any call can have.
var refusals = map[string]string{
	"400": "The request cannot be answered as it is; details name the fields, or what has to be done first.",
	"401": "No key, token or certificate, or one that does not hold.",
	"403": "The caller's role or shops do not allow it.",
	"404": "There is no such thing.",
	"409": "Somebody else changed it meanwhile: read it and try again.",
	"413": "The request is too large: send it in parts.",
	"429": "Too many calls: wait and try again.",
	"500": "The server's fault; its log has the details under the request's id.",
	"503": "The server cannot take it now: try again later.",
	"504": "It took too long.",
}

// describe is the description of the API as the generator leaves it, with what
// the generator does not know: the limits of every field, from the rules beside
// it in the proto; how callers say who they are; and how calls are refused.
func describe() (object, error) {
	var d object
	if err := json.Unmarshal(attunev1.OpenAPI(), &d); err != nil {
		return nil, fmt.Errorf("gateway: description of the API: %w", err)
	}
	d["info"] = object{"title": "Attune", "version": "v1", "description": "Recommendations for shops: what should this shopper see now?"}
	d["securityDefinitions"] = object{"caller": object{
		"type": "apiKey", "in": "header", "name": "Authorization",
		"description": "'Bearer ' and a key or a token. Not needed as long as the server has no key and listens on its own machine.",
	}}
	d["security"] = []any{object{"caller": []any{}}}
	definitions, ok := d["definitions"].(object)
	if !ok {
		return nil, fmt.Errorf("gateway: description of the API has no definitions")
	}
	paths, ok := d["paths"].(object)
	if !ok {
		return nil, fmt.Errorf("gateway: description of the API has no paths")
	}
	bodies := map[string]protoreflect.MethodDescriptor{}
	protoregistry.GlobalFiles.RangeFilesByPackage("attune.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Messages().Len() {
			m := f.Messages().Get(i)
			if def, ok := definitions["v1"+string(m.Name())].(object); ok {
				limitMessage(def, m)
			}
		}
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				m := f.Services().Get(i).Methods().Get(j)
				bodies[string(m.Parent().Name())+"_"+string(m.Name())] = m
				if def, ok := definitions[string(m.Parent().Name())+string(m.Name())+"Body"].(object); ok {
					limitMessage(def, m.Input())
				}
			}
		}
		return true
	})
	d["paths"] = plainPaths(paths)
	for _, item := range d["paths"].(object) {
		for _, op := range item.(object) {
			operation := op.(object)
			m := bodies[fmt.Sprint(operation["operationId"])]
			if m == nil {
				return nil, fmt.Errorf("gateway: description of the API names %v, which is no method", operation["operationId"])
			}
			limitParameters(operation, m.Input())
			responses := operation["responses"].(object)
			for code, why := range refusals {
				responses[code] = object{"description": why, "schema": object{"$ref": "#/definitions/rpcStatus"}}
			}
		}
	}
	return d, nil
}

// plainPaths names parameters by their last part, so that what is done to one
// thing stands together: items/{item.id} and items/{id} are one path.
func plainPaths(paths object) object {
	out := object{}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		plain := regexp.MustCompile(`\{[^}]*\.([^}.]*)\}`).ReplaceAllString(path, "{$1}")
		item, ok := out[plain].(object)
		if !ok {
			item = object{}
			out[plain] = item
		}
		maps.Copy(item, paths[path].(object))
	}
	return out
}

// limitParameters puts the rules of a request's fields to the parameters of
// path and query.
func limitParameters(operation object, in protoreflect.MessageDescriptor) {
	parameters, _ := operation["parameters"].([]any)
	for _, p := range parameters {
		parameter := p.(object)
		name, _ := parameter["name"].(string)
		field := fieldAt(in, name)
		switch {
		case parameter["in"] == "body":
			if schema, ok := parameter["schema"].(object); ok && field != nil && schema["properties"] != nil {
				limitMessage(schema, field.Message())
			}
			continue
		case field == nil:
			continue
		}
		limitField(parameter, field)
		if parameter["in"] == "path" {
			parameter["minLength"] = 1
			parameter["name"] = name[strings.LastIndex(name, ".")+1:]
			if name == "shop" {
				parameter["pattern"] = "^[a-z0-9][a-z0-9-]{0,62}$" // a path has no empty part
			}
		}
	}
}

func fieldAt(m protoreflect.MessageDescriptor, path string) (f protoreflect.FieldDescriptor) {
	for _, name := range strings.Split(path, ".") {
		if m == nil {
			return nil
		}
		if f = m.Fields().ByName(protoreflect.Name(name)); f == nil {
			return nil
		}
		m = f.Message()
	}
	return f
}

// limitMessage puts the rules of a message's fields to its schema.
func limitMessage(schema object, m protoreflect.MessageDescriptor) {
	properties, _ := schema["properties"].(object)
	var required []any
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		f := m.Fields().ByName(protoreflect.Name(name))
		if f == nil {
			continue
		}
		if property, ok := properties[name].(object); ok {
			limitField(property, f)
		}
		if rules(f).GetRequired() {
			required = append(required, name)
		}
	}
	if required != nil {
		schema["required"] = required
	}
	schema["additionalProperties"] = false
	if choice := m.Oneofs(); choice.Len() == 1 && choice.Get(0).Fields().Len() == m.Fields().Len() && m.Fields().Len() > 1 {
		schema["minProperties"], schema["maxProperties"] = 1, 1 // one of them, and no more
	}
}

func rules(f protoreflect.FieldDescriptor) *validate.FieldRules {
	r, _ := proto.GetExtension(f.Options(), validate.E_Field).(*validate.FieldRules)
	return r
}

func limitField(schema object, f protoreflect.FieldDescriptor) {
	limitValue(schema, rules(f))
	if f.Kind() == protoreflect.Int64Kind || f.Kind() == protoreflect.Uint64Kind {
		schema["pattern"] = `^-?(0|[1-9][0-9]{0,17})$`
	}
}

func limitValue(schema object, r *validate.FieldRules) {
	set := func(name string, has bool, value any) {
		if has {
			schema[name] = value
		}
	}
	if s := r.GetString(); s != nil {
		set("minLength", s.MinLen != nil, s.GetMinLen())
		set("maxLength", s.MaxLen != nil, s.GetMaxLen())
		set("pattern", s.Pattern != nil, s.GetPattern())
	}
	if n := r.GetInt32(); n != nil {
		_, gte := n.GetGreaterThan().(*validate.Int32Rules_Gte)
		_, lte := n.GetLessThan().(*validate.Int32Rules_Lte)
		set("minimum", gte, n.GetGte())
		set("maximum", lte, n.GetLte())
	}
	if n := r.GetDouble(); n != nil {
		_, gte := n.GetGreaterThan().(*validate.DoubleRules_Gte)
		_, lte := n.GetLessThan().(*validate.DoubleRules_Lte)
		set("minimum", gte, n.GetGte())
		set("maximum", lte, n.GetLte())
	}
	if l := r.GetRepeated(); l != nil {
		set("minItems", l.MinItems != nil, l.GetMinItems())
		set("maxItems", l.MaxItems != nil, l.GetMaxItems())
		if items, ok := schema["items"].(object); ok && items["$ref"] == nil {
			limitValue(items, l.GetItems())
		}
	}
	if m := r.GetMap(); m != nil {
		set("maxProperties", m.MaxPairs != nil, m.GetMaxPairs())
		if values, ok := schema["additionalProperties"].(object); ok && values["$ref"] == nil {
			limitValue(values, m.GetValues())
		}
	}
}

// routes are the paths of the description, to say which methods a path takes.
type routes []struct {
	path    *regexp.Regexp
	methods []string
}

func routesOf(d object) (all routes) {
	paths := d["paths"].(object)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		form := regexp.MustCompile(`\\\{[^}]*\\\}`).ReplaceAllString(regexp.QuoteMeta(path), `[^/]*`)
		r := struct {
			path    *regexp.Regexp
			methods []string
		}{path: regexp.MustCompile("^" + form + "$")}
		for method := range paths[path].(object) {
			r.methods = append(r.methods, strings.ToUpper(method))
		}
		slices.Sort(r.methods)
		all = append(all, r)
	}
	return all
}

// allow is the value of the header of that name.
func (all routes) allow(r *http.Request) string {
	var best []string
	length := -1
	for _, route := range all { // the longer form says more: items/{id}:similar before items/{id}
		if n := len(route.path.String()); n > length && route.path.MatchString(r.URL.EscapedPath()) {
			best, length = route.methods, n
		}
	}
	return strings.Join(best, ", ")
}
