package dialect

import (
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"volley/internal/message"
)

// birdFault is a place that breaks the schema, in our words.
type birdFault struct{ path, code, detail string }

// report checks a value and adds every fault once.
func (s *birdSchema) report(r *reader, path string, value any, schema *openapi3.Schema) {
	type place struct{ path, code string }
	seen := map[place]bool{}
	for _, f := range s.check(path, value, schema) {
		if at := (place{f.path, f.code}); !seen[at] {
			seen[at] = true
			r.add(f.path, f.code, "%s", f.detail)
		}
	}
}

// check lists the faults of a value that stands at path.
func (s *birdSchema) check(path string, value any, schema *openapi3.Schema) []birdFault {
	err := schema.VisitJSON(value, s.options...)
	faults := s.explain(path, value, err)
	if err != nil && len(faults) == 0 {
		return []birdFault{{path, message.CodeFormat, "does not fit the schema"}}
	}
	return faults
}

// explain puts the library's errors about a value into our words. Where a
// combination of schemas has failed, it looks for the part that the caller meant
// and explains that one.
func (s *birdSchema) explain(path string, value any, err error) []birdFault {
	switch e := err.(type) { //nolint:errorlint // the library returns these two types and wraps neither
	case nil:
		return nil
	case openapi3.MultiError:
		var faults []birdFault
		unknown := map[string]bool{}
		for _, one := range e {
			if birdRepeats(one, unknown) {
				continue
			}
			faults = append(faults, s.explain(path, value, one)...)
		}
		return faults
	case *openapi3.SchemaError:
		at, found := birdPlace(path, value, e.JSONPointer())
		return s.explainOne(at, found, e)
	default:
		return []birdFault{{path, message.CodeFormat, "cannot be checked"}}
	}
}

// birdRepeats reports whether an error is about unknown fields of an object that
// another error has named already: the library has one error for each field, we
// explain all fields of an object with the first.
func birdRepeats(err error, seen map[string]bool) bool {
	e, ok := err.(*openapi3.SchemaError) //nolint:errorlint // see explain
	if !ok || e.SchemaField != "properties" {
		return false
	}
	at := strings.Join(e.JSONPointer(), "\x00")
	repeats := seen[at]
	seen[at] = true
	return repeats
}

// explainOne explains an error about the value at path itself.
func (s *birdSchema) explainOne(path string, value any, e *openapi3.SchemaError) []birdFault {
	rest := *e.Schema
	var faults []birdFault
	switch e.SchemaField {
	case "allOf":
		for _, part := range e.Schema.AllOf {
			faults = append(faults, s.check(path, value, part.Value)...)
		}
		rest.AllOf = nil
	case "anyOf":
		faults = s.alternatives(path, value, e.Schema.AnyOf)
		rest.AnyOf = nil
	case "oneOf":
		faults = s.oneOf(path, value, e.Schema)
		rest.OneOf = nil
	case "discriminator":
		tag := e.Schema.Discriminator.PropertyName
		var names []string
		for name := range e.Schema.Discriminator.Mapping {
			names = append(names, name)
		}
		slices.Sort(names)
		faults = birdTagFault(path, value, tag, names)
		rest.OneOf, rest.AnyOf, rest.Discriminator = nil, nil, nil
	case "properties":
		return birdUnknown(path, value, e.Schema)
	default:
		code, detail := birdCode(value, e)
		return []birdFault{{path, code, detail}}
	}
	// The library stops at a combination that fails; what stands beside it counts
	// too.
	return append(faults, s.check(path, value, &rest)...)
}

// oneOf explains why not exactly one of a schema's variants fits. It judges by the
// variant that the discriminator names, else by the most likely one.
func (s *birdSchema) oneOf(path string, value any, schema *openapi3.Schema) []birdFault {
	fields, isObject := value.(map[string]any)
	if d := schema.Discriminator; d != nil && isObject {
		name, _ := fields[d.PropertyName].(string)
		for _, variant := range schema.OneOf {
			if variant.Ref == d.Mapping[name].Ref {
				return s.check(path, value, variant.Value)
			}
		}
	}
	if variants, names := birdTagged(schema.OneOf); variants != nil && isObject {
		name, _ := fields["type"].(string)
		if variant := variants[name]; variant != nil {
			return s.check(path, value, variant)
		}
		return birdTagFault(path, value, "type", names)
	}
	return s.alternatives(path, value, schema.OneOf)
}

// birdTagged maps the names of variants to variants, where every variant allows
// exactly one value of a field type; otherwise it returns nil.
func birdTagged(refs openapi3.SchemaRefs) (variants map[string]*openapi3.Schema, names []string) {
	variants = map[string]*openapi3.Schema{}
	for _, ref := range refs {
		tag := ref.Value.Properties["type"]
		if tag == nil || len(tag.Value.Enum) != 1 {
			return nil, nil
		}
		name, ok := tag.Value.Enum[0].(string)
		if !ok {
			return nil, nil
		}
		variants[name] = ref.Value
		names = append(names, name)
	}
	return variants, names
}

// alternatives explains a value that fits none of several schemas, or too many of
// them: by the one with the fewest faults, the first of equals.
func (s *birdSchema) alternatives(path string, value any, refs openapi3.SchemaRefs) []birdFault {
	var best, single []birdFault
	fits, mixes := 0, 0
	for _, ref := range refs {
		faults := s.check(path, value, ref.Value)
		switch {
		case len(faults) == 0:
			fits++
		case best == nil || len(faults) < len(best):
			best = faults
		}
		if len(faults) == 1 {
			single = append(single, faults[0])
		}
		if !slices.ContainsFunc(faults, func(f birdFault) bool { return f.code != message.CodeUnknownField }) {
			mixes++
		}
	}
	switch {
	case fits > 1, fits == 0 && len(refs) > 1 && mixes == len(refs):
		return []birdFault{{path, message.CodeConflict, "holds fields that exclude each other"}}
	case len(single) == len(refs):
		return []birdFault{birdEither(single)}
	default:
		return best
	}
}

// birdEither says that one of several faults has to be mended. It stands at the
// place of the first.
func birdEither(faults []birdFault) birdFault {
	one := faults[0]
	for _, f := range faults[1:] {
		switch {
		case f.code != one.code:
		case f.path != one.path:
			one.detail += ", or " + f.path + " " + f.detail
		case f.detail != one.detail:
			one.detail += ", or " + f.detail
		}
	}
	return one
}

// birdTagFault says what is wrong with the field that chooses a variant.
func birdTagFault(path string, value any, tag string, names []string) []birdFault {
	fields, ok := value.(map[string]any)
	if !ok {
		return nil
	}
	at := child(path, tag)
	given, ok := fields[tag]
	if !ok {
		return []birdFault{{at, message.CodeRequired, "is required"}}
	}
	if _, ok := given.(string); !ok {
		return []birdFault{{at, message.CodeType, "expected a string, got " + birdKind(given)}}
	}
	return []birdFault{{at, message.CodeEnum, "expected one of " + strings.Join(names, ", ")}}
}

// birdUnknown lists the fields of an object that its schema does not know.
func birdUnknown(path string, value any, schema *openapi3.Schema) []birdFault {
	fields, _ := value.(map[string]any)
	var faults []birdFault
	for key := range fields {
		if schema.Properties[key] == nil {
			faults = append(faults, birdFault{child(path, key), message.CodeUnknownField, "no field of this name is known here"})
		}
	}
	slices.SortFunc(faults, func(a, b birdFault) int { return strings.Compare(a.path, b.path) })
	return faults
}

// birdPlace follows a JSON pointer from a value at path. It returns the place in
// the caller's notation and the value there, nil where there is none.
func birdPlace(path string, value any, pointer []string) (string, any) {
	for _, key := range pointer {
		switch v := value.(type) {
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(v) {
				return path, nil
			}
			path, value = element(path, i), v[i]
		case map[string]any:
			path, value = child(path, key), v[key]
		default:
			return path, nil
		}
	}
	return path, value
}
