package server

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"

	"volley/workflows/contract"
)

// attribute is a search attribute that batches are found by.
type attribute struct {
	name string
	kind enumspb.IndexedValueType
}

func attributes() []attribute {
	return []attribute{
		{contract.AttrState, enumspb.INDEXED_VALUE_TYPE_KEYWORD},
		{contract.AttrDialect, enumspb.INDEXED_VALUE_TYPE_KEYWORD},
		{contract.AttrTenant, enumspb.INDEXED_VALUE_TYPE_KEYWORD},
		{contract.AttrKey, enumspb.INDEXED_VALUE_TYPE_KEYWORD},
		{contract.AttrMeta, enumspb.INDEXED_VALUE_TYPE_KEYWORD_LIST},
		{contract.AttrTotal, enumspb.INDEXED_VALUE_TYPE_INT},
		{contract.AttrFailed, enumspb.INDEXED_VALUE_TYPE_INT},
		{contract.AttrDue, enumspb.INDEXED_VALUE_TYPE_DATETIME},
		{contract.AttrContent, enumspb.INDEXED_VALUE_TYPE_KEYWORD},
	}
}

// NeedsAttribute reports whether no batch can start on a server that lacks the search
// attribute with this name. Without the others something is not known of batches.
func NeedsAttribute(name string) bool { return name != contract.AttrContent }

// Attributes are the search attributes of batches, by name, for servers that take
// them at their own start.
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
func (s *Server) Missing(ctx context.Context) ([]string, error) {
	have, err := s.Client.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{
		Namespace: s.Namespace,
	})
	if err != nil {
		return nil, Translate(ctx, "list search attributes", err)
	}
	var lacking []string
	for _, a := range attributes() {
		kind, ok := have.GetCustomAttributes()[a.name]
		switch {
		case !ok:
			lacking = append(lacking, a.name)
		case kind != a.kind:
			return nil, fmt.Errorf("search attribute %s has type %s, expected %s", a.name, kind, a.kind)
		}
	}
	return lacking, nil
}

// Setup adds the search attributes that the server lacks and returns their
// names. A server may take seconds until it accepts them in a start.
func (s *Server) Setup(ctx context.Context) ([]string, error) {
	lacking, err := s.Missing(ctx)
	if err != nil {
		return nil, err
	}
	var added []string
	for _, name := range lacking {
		_, err := s.Client.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
			Namespace:        s.Namespace,
			SearchAttributes: map[string]enumspb.IndexedValueType{name: Attributes()[name]},
		})
		var exists *serviceerror.AlreadyExists
		switch {
		case err == nil:
			added = append(added, name)
		case !errors.As(err, &exists):
			return added, Translate(ctx, "add search attribute "+name, err)
		}
	}
	return added, nil
}

// ReadAttribute decodes a search attribute, which is never encrypted.
func ReadAttribute(info *workflowpb.WorkflowExecutionInfo, name string, out any) bool {
	p := info.GetSearchAttributes().GetIndexedFields()[name]
	return p != nil && converter.GetDefaultDataConverter().FromPayload(p, out) == nil
}
