package temporalclient

import (
	"cmp"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
)

// UndecodedError means that what came from Temporal could not be decoded, as where a
// process lacks the key. An activity whose input is that has not begun: in histories it
// ends with an error that has a cause of this type's name.
type UndecodedError struct{ Err error }

func (e *UndecodedError) Error() string { return e.Err.Error() }

// Unwrap is why.
func (e *UndecodedError) Unwrap() error { return e.Err }

// decoder marks the errors of decoding.
type decoder struct{ converter.DataConverter }

// Converter is a data converter whose errors of decoding are UndecodedErrors; nil is the
// SDK's default.
func Converter(dc converter.DataConverter) converter.DataConverter {
	return decoder{cmp.Or(dc, converter.GetDefaultDataConverter())}
}

// FromPayload decodes one value.
func (d decoder) FromPayload(p *commonpb.Payload, v any) error {
	return undecoded(d.DataConverter.FromPayload(p, v))
}

// FromPayloads decodes several values.
func (d decoder) FromPayloads(p *commonpb.Payloads, v ...any) error {
	return undecoded(d.DataConverter.FromPayloads(p, v...))
}

func undecoded(err error) error {
	if err == nil {
		return nil
	}
	return &UndecodedError{err}
}
