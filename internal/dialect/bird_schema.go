package dialect

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"volley/internal/message"
)

// birdDocument is the structure of Bird's OpenAPI document for batch messages, as
// Bird publishes it, its defects included.
//
//go:embed bird_openapi.json
var birdDocument []byte

// birdSchema is what requests are checked against. It is read only and safe for
// concurrent use.
type birdSchema struct {
	// envelope is CreateBatchMessages with messages of any shape.
	envelope *openapi3.Schema
	// message is CreateMessage.
	message *openapi3.Schema
	options []openapi3.SchemaValidationOption
}

// birdSchemas reads the document at its first use.
var birdSchemas = sync.OnceValues(func() (*birdSchema, error) { return loadBird(birdDocument) })

// loadBird repairs a document and takes the schemas of a request from it.
func loadBird(document []byte) (*birdSchema, error) {
	doc, err := birdRepaired(document)
	if err != nil {
		return nil, err
	}
	batch, one := doc.Components.Schemas["CreateBatchMessages"], doc.Components.Schemas["CreateMessage"]
	if batch == nil || one == nil {
		return nil, errors.New("no schema of a batch or of a message")
	}
	list := batch.Value.Properties[birdMessages]
	if list == nil {
		return nil, fmt.Errorf("a batch without %s", birdMessages)
	}
	anyItems := *list.Value
	anyItems.Items = nil
	envelope := *batch.Value
	envelope.Properties = openapi3.Schemas{birdMessages: openapi3.NewSchemaRef("", &anyItems)}
	return &birdSchema{envelope: &envelope, message: one.Value, options: birdOptions()}, nil
}

// birdRepaired parses a document after its repairs.
func birdRepaired(document []byte) (*openapi3.T, error) {
	var tree birdTree
	if err := json.Unmarshal(document, &tree); err != nil {
		return nil, err
	}
	for _, repair := range birdRepairs() {
		if err := repair.apply(tree); err != nil {
			return nil, fmt.Errorf("repair %q: %w", repair.name, err)
		}
	}
	repaired, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	return openapi3.NewLoader().LoadFromData(repaired)
}

// birdOptions makes the library report all that is wrong, and check the formats
// that the document names. It checks no format but date-time by itself.
func birdOptions() []openapi3.SchemaValidationOption {
	// A subtag of BCP 47, with the underscore that many platforms write.
	locale := regexp.MustCompile(`^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$`)
	formats := map[string]func(string) error{
		"date-time": func(s string) error {
			_, err := message.ParseRFC3339(s)
			return err
		},
		"uri": func(s string) error {
			if u, err := url.Parse(s); err != nil || u.Scheme == "" {
				return errors.New("expected an absolute URI")
			}
			return nil
		},
		"uuid": func(s string) error {
			if len(s) != 36 || uuid.Validate(s) != nil {
				return errors.New("expected a UUID")
			}
			return nil
		},
		"locale-bcp47": func(s string) error {
			if !locale.MatchString(s) {
				return errors.New("expected a language tag, as en or pt-BR")
			}
			return nil
		},
	}
	// The library writes out every error that it passes on, with schema and value
	// unless it is told not to, which would be most of the work.
	options := []openapi3.SchemaValidationOption{openapi3.MultiErrors(), openapi3.DisableSchemaErrorDetails()}
	for name, check := range formats {
		options = append(options, openapi3.WithStringFormatValidator(name, openapi3.NewCallbackValidator(check)))
	}
	return options
}
