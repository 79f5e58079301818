package temporalclient

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"volley/internal/encryption"
	"volley/internal/message"
)

// What stands in clear in the metadata of a sealed payload, whose data is the whole
// payload that it was.
const (
	// EncodingSealed is its encoding.
	EncodingSealed = "binary/volley-encrypted"
	// MetadataTenant is whose it is; empty is nobody's.
	MetadataTenant = "volley-tenant"
	// MetadataKey is the id of the key that sealed it, which the data say too.
	MetadataKey = "volley-key"
)

// ErrOtherTenant means that a payload of one tenant stands in a workflow of another.
var ErrOtherTenant = errors.New("it belongs to another tenant")

// codec seals payloads with a keyset. Without one it leaves those as they are that it
// encodes, and cannot decode sealed ones. Payloads that are not sealed are decoded as they
// are: they were there before encryption was switched on, or come from the stock CLI.
type codec struct {
	keyset    *encryption.Keyset
	namespace string
	// tenant is whose the payloads are, where that is known.
	tenant string
	known  bool
}

var (
	_ converter.PayloadCodec                         = codec{}
	_ converter.PayloadCodecWithSerializationContext = codec{}
)

// NewCodec seals and opens payloads of a namespace; a nil keyset does neither. It compares
// a payload's tenant with that of the workflow in which it stands, where the SDK says that.
func NewCodec(k *encryption.Keyset, namespace string) converter.PayloadCodec {
	return codec{keyset: k, namespace: namespace}
}

// tenantPrefixes begin the ids of the workflows that belong to one tenant.
var tenantPrefixes = []string{"batch-", "redrive-"}

// TenantOfWorkflow is whose a workflow is: that of the batch to which it belongs. Empty is
// nobody's, as that of what is held.
func TenantOfWorkflow(id string) string {
	for _, prefix := range tenantPrefixes {
		if rest, ok := strings.CutPrefix(id, prefix); ok {
			tenant, _, _ := message.ParseWorkflowID("batch-" + rest)
			return tenant
		}
	}
	return ""
}

// WithSerializationContext is told which workflow the payloads stand in.
func (c codec) WithSerializationContext(sc converter.SerializationContext) converter.PayloadCodec {
	switch sc := sc.(type) {
	case converter.WorkflowSerializationContext:
		c.tenant, c.known = TenantOfWorkflow(sc.WorkflowID), true
	case converter.ActivitySerializationContext:
		c.tenant, c.known = TenantOfWorkflow(sc.WorkflowID), true
	}
	return c
}

// Encode seals.
func (c codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	if c.keyset.IsOff() {
		return payloads, nil
	}
	out := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		plain, err := proto.Marshal(p)
		if err != nil {
			return nil, &codecError{fmt.Errorf("seal a payload: %w", err)}
		}
		sealed, err := c.keyset.Seal(plain, encryption.Associated(c.namespace, c.tenant))
		if err != nil {
			return nil, &codecError{fmt.Errorf("seal a payload: %w", err)}
		}
		out[i] = &commonpb.Payload{Data: sealed, Metadata: map[string][]byte{
			converter.MetadataEncoding: []byte(EncodingSealed),
			MetadataTenant:             []byte(c.tenant),
			MetadataKey:                strconv.AppendUint(nil, uint64(c.keyset.Primary()), 10),
		}}
	}
	return out, nil
}

// Decode opens what is sealed.
func (c codec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	var out []*commonpb.Payload
	for i, p := range payloads {
		if !IsSealed(p) {
			continue
		}
		plain, err := c.open(p)
		if err != nil {
			return nil, &codecError{err}
		}
		if out == nil {
			out = append(out, payloads...) // what is given stays as it is
		}
		out[i] = plain
	}
	if out == nil {
		return payloads, nil
	}
	return out, nil
}

func (c codec) open(p *commonpb.Payload) (*commonpb.Payload, error) {
	tenant := string(p.GetMetadata()[MetadataTenant])
	if c.known && tenant != "" && tenant != c.tenant {
		return nil, fmt.Errorf("a payload of tenant %q stands in a workflow of %q: %w", tenant, c.tenant, ErrOtherTenant)
	}
	if c.keyset.IsOff() {
		id, _ := encryption.SealedWith(p.GetData())
		return nil, fmt.Errorf("a payload is sealed with key %d, and this process has no keyset (encryption.keyset in the configuration): %w", id, encryption.ErrNoKey)
	}
	data, err := c.keyset.Open(p.GetData(), encryption.Associated(c.namespace, tenant))
	if err != nil {
		return nil, fmt.Errorf("a payload cannot be read: %w", err)
	}
	plain := &commonpb.Payload{}
	if err := proto.Unmarshal(data, plain); err != nil {
		return nil, fmt.Errorf("a payload cannot be read: %w", encryption.ErrDamaged)
	}
	return plain, nil
}

// IsSealed reports whether a payload is one that a codec sealed.
func IsSealed(p *commonpb.Payload) bool {
	return string(p.GetMetadata()[converter.MetadataEncoding]) == EncodingSealed
}

// codecError is an error of the codec, and none of what a payload says.
type codecError struct{ err error }

func (e *codecError) Error() string { return e.err.Error() }

// Unwrap is why.
func (e *codecError) Unwrap() error { return e.err }
