package temporalclient

import (
	"cmp"
	"context"
	"errors"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"volley/internal/encryption"
)

// UndecodedError means that what came from Temporal could not be decoded, as where a
// process lacks the key. An activity whose input is that has not begun: in histories it
// ends with an error that has a cause of this type's name.
type UndecodedError struct{ Err error }

func (e *UndecodedError) Error() string { return e.Err.Error() }

// Unwrap is why.
func (e *UndecodedError) Unwrap() error { return e.Err }

// decoder marks the errors of decoding. In a workflow task it panics where a payload cannot
// be opened: an error would end the run for good, a panic fails the task, which a worker
// that has the key repeats.
type decoder struct {
	converter.DataConverter
	// ofWorker means that it is a worker's: then payloads of workflows are those of
	// their tasks.
	ofWorker bool
	inTask   bool
}

var (
	_ converter.DataConverterWithSerializationContext = decoder{}
	_ converter.ContextAware                          = decoder{}
)

// Converter is a data converter whose errors of decoding are UndecodedErrors; nil is the
// SDK's default.
func Converter(dc converter.DataConverter) converter.DataConverter {
	return decoder{DataConverter: cmp.Or(dc, converter.GetDefaultDataConverter())}
}

// sealing is Converter with a codec behind it.
func sealing(k *encryption.Keyset, namespace string, dc converter.DataConverter, ofWorker bool) decoder {
	dc = cmp.Or(dc, converter.GetDefaultDataConverter())
	return decoder{DataConverter: converter.NewCodecDataConverter(dc, NewCodec(k, namespace)), ofWorker: ofWorker}
}

// WithSerializationContext is told which workflow the payloads stand in.
func (d decoder) WithSerializationContext(sc converter.SerializationContext) converter.DataConverter {
	d.DataConverter = converter.WithDataConverterSerializationContext(d.DataConverter, sc)
	if _, ok := sc.(converter.WorkflowSerializationContext); ok && d.ofWorker {
		d.inTask = true
	}
	return d
}

// WithWorkflowContext is called in a workflow task.
func (d decoder) WithWorkflowContext(converter.WorkflowContext) converter.DataConverter {
	d.inTask = true
	return d
}

// WithContext is called in activities and by clients.
func (d decoder) WithContext(context.Context) converter.DataConverter { return d }

// ToPayload encodes one value.
func (d decoder) ToPayload(v any) (*commonpb.Payload, error) {
	p, err := d.DataConverter.ToPayload(v)
	return p, d.checked(err)
}

// ToPayloads encodes several values.
func (d decoder) ToPayloads(v ...any) (*commonpb.Payloads, error) {
	p, err := d.DataConverter.ToPayloads(v...)
	return p, d.checked(err)
}

// FromPayload decodes one value.
func (d decoder) FromPayload(p *commonpb.Payload, v any) error {
	return undecoded(d.checked(d.DataConverter.FromPayload(p, v)))
}

// FromPayloads decodes several values.
func (d decoder) FromPayloads(p *commonpb.Payloads, v ...any) error {
	return undecoded(d.checked(d.DataConverter.FromPayloads(p, v...)))
}

// checked panics with an error of the codec in a workflow task.
func (d decoder) checked(err error) error {
	var of *codecError
	if d.inTask && errors.As(err, &of) {
		panic(err)
	}
	return err
}

func undecoded(err error) error {
	if err == nil {
		return nil
	}
	return &UndecodedError{err}
}

// failures turns errors into failures, whose texts are sealed, and back.
type failures struct {
	converter.FailureConverter
	of   decoder
	seal bool
}

var _ converter.FailureConverterWithSerializationContext = failures{}

// newFailures seals the texts and stacks of failures where seal is set, and reads sealed
// ones. A worker reads failures in workflow tasks alone.
func newFailures(of decoder, seal bool) failures {
	of.inTask = of.inTask || of.ofWorker
	return failures{temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{DataConverter: of, EncodeCommonAttributes: seal}), of, seal}
}

// WithSerializationContext is told which workflow the failures stand in.
func (f failures) WithSerializationContext(sc converter.SerializationContext) converter.FailureConverter {
	of, ok := f.of.WithSerializationContext(sc).(decoder)
	if !ok {
		return f
	}
	return newFailures(of, f.seal)
}
