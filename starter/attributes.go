package starter

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"

	"volley/workflows"
)

// attribute is a search attribute that batches are found by.
type attribute struct {
	name string
	kind enumspb.IndexedValueType
}

func attributes() []attribute {
	return []attribute{
		{workflows.AttrState, enumspb.INDEXED_VALUE_TYPE_KEYWORD},
		{workflows.AttrDialect, enumspb.INDEXED_VALUE_TYPE_KEYWORD},
		{workflows.AttrTenant, enumspb.INDEXED_VALUE_TYPE_KEYWORD},
		{workflows.AttrKey, enumspb.INDEXED_VALUE_TYPE_KEYWORD},
		{workflows.AttrMeta, enumspb.INDEXED_VALUE_TYPE_KEYWORD_LIST},
		{workflows.AttrTotal, enumspb.INDEXED_VALUE_TYPE_INT},
		{workflows.AttrFailed, enumspb.INDEXED_VALUE_TYPE_INT},
		{workflows.AttrDue, enumspb.INDEXED_VALUE_TYPE_DATETIME},
	}
}

// Attributes are the search attributes that batches need, by name, for servers
// that take them at their own start.
func Attributes() map[string]enumspb.IndexedValueType {
	out := map[string]enumspb.IndexedValueType{}
	for _, a := range attributes() {
		out[a.name] = a.kind
	}
	return out
}

// Missing returns the search attributes that the server lacks in the namespace,
// in the order of the documentation. One that is there with another type is an
// error, because nothing but a person can decide what becomes of it.
func (s *Starter) Missing(ctx context.Context) ([]string, error) {
	lacking, err := s.missing(ctx)
	var names []string
	for _, a := range lacking {
		names = append(names, a.name)
	}
	return names, err
}

// Setup adds the search attributes that the server lacks and returns their
// names. A server may take seconds until it accepts them in a start.
func (s *Starter) Setup(ctx context.Context) ([]string, error) {
	lacking, err := s.missing(ctx)
	if err != nil {
		return nil, err
	}
	var added []string
	for _, a := range lacking {
		_, err := s.c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
			Namespace:        s.o.Namespace,
			SearchAttributes: map[string]enumspb.IndexedValueType{a.name: a.kind},
		})
		var exists *serviceerror.AlreadyExists
		if errors.As(err, &exists) {
			continue
		}
		if err != nil {
			return added, s.translate(ctx, "add search attribute "+a.name, err)
		}
		added = append(added, a.name)
	}
	return added, nil
}

func (s *Starter) missing(ctx context.Context) ([]attribute, error) {
	have, err := s.c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{
		Namespace: s.o.Namespace,
	})
	if err != nil {
		return nil, s.translate(ctx, "list search attributes", err)
	}
	var lacking []attribute
	for _, a := range attributes() {
		kind, ok := have.GetCustomAttributes()[a.name]
		if !ok {
			lacking = append(lacking, a)
			continue
		}
		if kind != a.kind {
			return nil, fmt.Errorf("search attribute %s has type %s, expected %s", a.name, kind, a.kind)
		}
	}
	return lacking, nil
}
