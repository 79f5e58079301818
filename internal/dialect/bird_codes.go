package dialect

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"volley/internal/message"
)

// birdCode maps a keyword of JSON schema to a problem code.
func birdCode(value any, e *openapi3.SchemaError) (code, detail string) {
	switch e.SchemaField {
	case "required":
		return message.CodeRequired, "is required"
	case "enum":
		if _, ok := value.(string); !ok {
			return message.CodeType, "expected a string, got " + birdKind(value)
		}
		names := make([]string, len(e.Schema.Enum))
		for i, name := range e.Schema.Enum {
			names[i] = fmt.Sprint(name)
		}
		return message.CodeEnum, "expected one of " + strings.Join(names, ", ")
	case "type", "nullable":
		return birdTypeCode(value, e.Schema)
	case "minLength":
		if e.Schema.MinLength == 1 {
			return message.CodeTooShort, "must not be empty"
		}
		return message.CodeTooShort, fmt.Sprintf("at least %d characters", e.Schema.MinLength)
	case "maxLength":
		return message.CodeTooLong, fmt.Sprintf("at most %d characters", *e.Schema.MaxLength)
	case "minItems", "minProperties":
		return message.CodeTooFew, e.Reason
	case "maxItems", "maxProperties":
		return message.CodeTooMany, e.Reason
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf":
		return message.CodeRange, e.Reason
	case "not", "uniqueItems":
		return message.CodeConflict, e.Reason
	case "pattern":
		return message.CodeFormat, "must match " + e.Schema.Pattern
	case "format":
		if cause := errors.Unwrap(e.Origin); cause != nil {
			return message.CodeFormat, cause.Error()
		}
		return message.CodeFormat, e.Reason
	default:
		return message.CodeFormat, e.Reason
	}
}

// birdTypeCode tells a value of the wrong type from a number that is too large to
// be read.
func birdTypeCode(value any, schema *openapi3.Schema) (code, detail string) {
	if n, ok := value.(json.Number); ok {
		if _, err := n.Float64(); err != nil {
			return message.CodeRange, "is too large a number"
		}
	}
	expected := "a value"
	if types := schema.Type.Slice(); len(types) == 1 {
		expected = "a " + types[0]
		if slices.Contains([]string{"array", "object", "integer"}, types[0]) {
			expected = "an " + types[0]
		}
	}
	return message.CodeType, "expected " + expected + ", got " + birdKind(value)
}

// birdKind names a value's type for a person.
func birdKind(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case json.Number:
		return "the number " + fmt.Sprintf("%.40s", v)
	case string:
		return "a string"
	case []any:
		return "an array"
	default:
		return "an object"
	}
}
