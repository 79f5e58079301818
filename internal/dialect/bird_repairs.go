package dialect

import (
	"fmt"
	"reflect"
	"strings"
)

// birdRepair mends one defect of Bird's document. It fails where the document is
// not as the repair expects it, so that a newer document is looked at by a person.
type birdRepair struct {
	// name says what holds afterwards.
	name  string
	apply func(birdTree) error
}

// birdRepairs are all differences between the document that Bird publishes and
// the one that requests are checked against. docs/dialects/bird.md gives the
// reasons.
func birdRepairs() []birdRepair {
	return []birdRepair{
		{"path parameters are declared", birdPathParameters},
		{"the access key is a header", birdAccessKey},
		{"messageRequests is required", func(d birdTree) error {
			return d.set("required", nil, []any{birdMessages}, birdSchemaAt("CreateBatchMessages"))
		}},
		{"a batch has no other fields", func(d birdTree) error {
			return d.set("additionalProperties", nil, false, birdSchemaAt("CreateBatchMessages"))
		}},
		{"a batch has at most 100 messages", func(d birdTree) error {
			return d.set("maxItems", nil, 100.0, birdSchemaAt("CreateBatchMessages", "properties", birdMessages))
		}},
		{"contacts are not empty", birdMinItems("Receiver", "properties", "contacts")},
		{"template parameters are not empty", birdMinItems("Template", "properties", "parameters")},
		{"images are not empty", birdMinItems("TypeImage", "properties", "image", "properties", "images")},
		{"files are not empty", birdMinItems("TypeFile", "properties", "file", "properties", "files")},
		{"section items are not empty", birdSectionItems("TypeSection")},
		{"nested section items are not empty", birdSectionItems("TypeSectionNested")},
		{"body type template does not exist", birdNoTemplateBody},
		{"a body or a template is an object", birdContent},
		{"body type action is usable", birdAction},
	}
}

// birdPathParameters declares the ids in the path, which OpenAPI demands.
func birdPathParameters(d birdTree) error {
	var parameters []any
	for _, name := range []string{"workspaceId", "channelId"} {
		parameters = append(parameters, map[string]any{
			"name": name, "in": "path", "required": true,
			"schema": map[string]any{"type": "string", "format": "uuid"},
		})
	}
	const path = "/workspaces/{workspaceId}/channels/{channelId}/batch/messages"
	return d.set("parameters", nil, parameters, []string{"paths", path})
}

// birdAccessKey replaces an HTTP scheme that nobody has registered.
func birdAccessKey(d birdTree) error {
	was := map[string]any{"type": "http", "scheme": "AccessKey"}
	is := map[string]any{"type": "apiKey", "in": "header", "name": "Authorization"}
	return d.set("accessKey", was, is, []string{"components", "securitySchemes"})
}

// birdMinItems turns the minLength of an array, which means nothing, into minItems.
func birdMinItems(place ...string) func(birdTree) error {
	return func(d birdTree) error {
		if err := d.set("minLength", 1.0, nil, birdSchemaAt(place...)); err != nil {
			return err
		}
		return d.set("minItems", nil, 1.0, birdSchemaAt(place...))
	}
}

// birdSectionItems moves a minLength from beside a $ref, where OpenAPI 3.0 ignores
// it, to the array as minItems.
func birdSectionItems(schema string) func(birdTree) error {
	return func(d birdTree) error {
		place := birdSchemaAt(schema, "properties", "section", "properties", "items")
		if err := d.set("minLength", 1.0, nil, append(place, "items")); err != nil {
			return err
		}
		return d.set("minItems", nil, 1.0, place)
	}
}

// birdNoTemplateBody removes a type of body that no variant describes.
func birdNoTemplateBody(d birdTree) error {
	is := []any{"text", "html", "image", "file", "gif", "location", "carousel", "list", "section", "authentication"}
	was := append(append([]any{}, is...), "template", "action")
	return d.set("enum", was, append(is, "action"), birdSchemaAt("BodyTypes"))
}

// birdContent asks for a body or a template that is not null, where the document
// asks only for the key.
func birdContent(d birdTree) error {
	content, err := d.list("allOf", birdSchemaAt("CreateMessage"))
	if err != nil {
		return err
	}
	was := map[string]any{"anyOf": []any{
		map[string]any{"type": "object", "title": "ChannelMessageCreateWithTemplate", "required": []any{"template"}},
		map[string]any{"type": "object", "title": "ChannelMessageCreateWithBody", "required": []any{"body"}},
	}}
	if len(content) != 2 || !reflect.DeepEqual(content[1], was) {
		return fmt.Errorf("the second part of %s.allOf is not as expected", strings.Join(birdSchemaAt("CreateMessage"), "."))
	}
	with := func(key string) any {
		return map[string]any{
			"type": "object", "required": []any{key},
			"properties": map[string]any{key: map[string]any{"type": "object"}},
		}
	}
	content[1] = map[string]any{"anyOf": []any{with("body"), with("template")}}
	return nil
}

// birdAction lets both readings of a contradiction pass. The type of body is
// "action", while the variant wants its type to be "permission_request"; so the
// request for a permission stands in the body itself, or in an action within it.
func birdAction(d birdTree) error {
	action := birdSchemaAt("TypeAction")
	properties := birdSchemaAt("TypeAction", "properties")
	if err := d.set("enum", []any{"permission_request"}, []any{"action"}, append(properties, "type")); err != nil {
		return err
	}
	request, err := d.at(append(properties, "permission_request"))
	if err != nil {
		return err
	}
	within := map[string]any{
		"type": "object", "required": []any{"type", "permission_request"}, "additionalProperties": false,
		"properties": map[string]any{
			"type":               map[string]any{"type": "string", "enum": []any{"permission_request"}},
			"permission_request": request,
		},
	}
	if err := d.set("action", nil, within, properties); err != nil {
		return err
	}
	return d.set("oneOf", nil, []any{
		map[string]any{"required": []any{"permission_request"}},
		map[string]any{"required": []any{"action"}},
	}, action)
}

// birdTree is a document that is not parsed yet, as encoding/json reads it.
type birdTree map[string]any

// birdSchemaAt is the way to a place within one of the document's schemas.
func birdSchemaAt(place ...string) []string {
	return append([]string{"components", "schemas"}, place...)
}

// at finds an object of the document.
func (d birdTree) at(place []string) (map[string]any, error) {
	object := map[string]any(d)
	for i, key := range place {
		next, ok := object[key].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("no object at %s", strings.Join(place[:i+1], "."))
		}
		object = next
	}
	return object, nil
}

// list finds an array of the document; writing to its items changes the document.
func (d birdTree) list(key string, place []string) ([]any, error) {
	object, err := d.at(place)
	if err != nil {
		return nil, err
	}
	list, ok := object[key].([]any)
	if !ok {
		return nil, fmt.Errorf("no list at %s.%s", strings.Join(place, "."), key)
	}
	return list, nil
}

// set replaces the value of a key; nil means that there is none.
func (d birdTree) set(key string, was, becomes any, place []string) error {
	object, err := d.at(place)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(object[key], was) {
		return fmt.Errorf("%s.%s is %v, expected %v", strings.Join(place, "."), key, object[key], was)
	}
	if becomes == nil {
		delete(object, key)
	} else {
		object[key] = becomes
	}
	return nil
}
