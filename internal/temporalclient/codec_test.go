package temporalclient_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/proto"

	"volley/internal/encryption"
	"volley/internal/temporalclient"
	"volley/workflows/contract"
)

func newKeyset(t *testing.T) *encryption.Keyset {
	t.Helper()
	k, err := encryption.New()
	require.NoError(t, err)
	return k
}

// options are those of a client with a keyset in a namespace.
func options(t *testing.T, k *encryption.Keyset, namespace string) client.Options {
	t.Helper()
	o, err := temporalclient.ClientOptions(temporalclient.Options{Keyset: k, EnvLookup: environment{
		"TEMPORAL_CONFIG_FILE": t.TempDir() + "/none.toml", "TEMPORAL_NAMESPACE": namespace,
	}})
	require.NoError(t, err)
	return o
}

// in is a data converter in a workflow.
func in(dc converter.DataConverter, workflowID string) converter.DataConverter {
	return converter.WithDataConverterSerializationContext(dc, converter.WorkflowSerializationContext{Namespace: "default", WorkflowID: workflowID})
}

// read opens a payload.
func read(dc converter.DataConverter, p *commonpb.Payload) (out string, err error) {
	err = dc.FromPayload(p, &out)
	return out, err
}

const number = "+4915112345678"

func TestAPayloadOfOneTenantIsNotOpenedInAnothers(t *testing.T) {
	t.Parallel()
	dc := options(t, newKeyset(t), "default").DataConverter
	p, err := in(dc, "batch-shop/spring").ToPayload(number)
	require.NoError(t, err)
	require.NotContains(t, p.String(), "4915112345678")
	require.Equal(t, "shop", string(p.Metadata[temporalclient.MetadataTenant]))
	require.Equal(t, temporalclient.EncodingSealed, string(p.Metadata[converter.MetadataEncoding]))

	activity := converter.WithDataConverterSerializationContext(dc, converter.ActivitySerializationContext{WorkflowID: "batch-shop/spring~0001"})
	for _, same := range []converter.DataConverter{dc, in(dc, "batch-shop/summer"), in(dc, "batch-shop/spring~notify"), in(dc, "redrive-shop/spring~1"), activity} {
		out, err := read(same, p)
		require.NoError(t, err)
		require.Equal(t, number, out)
	}
	for _, id := range []string{"batch-bank/spring", "batch-spring", "redrive-bank/spring~1", "holds-volley"} {
		_, err := read(in(dc, id), p)
		require.ErrorIs(t, err, temporalclient.ErrOtherTenant, id)
	}
	// Whoever says that it is another's cannot open it.
	moved := proto.CloneOf(p)
	moved.Metadata[temporalclient.MetadataTenant] = []byte("bank")
	_, err = read(in(dc, "batch-bank/spring"), moved)
	require.ErrorIs(t, err, encryption.ErrDamaged)
	moved.Metadata[temporalclient.MetadataTenant] = nil
	_, err = read(in(dc, "batch-bank/spring"), moved)
	require.ErrorIs(t, err, encryption.ErrDamaged)
}

func TestAPayloadOfAnotherNamespaceIsNotOpened(t *testing.T) {
	t.Parallel()
	k := newKeyset(t)
	p, err := options(t, k, "one").DataConverter.ToPayload(number)
	require.NoError(t, err)
	_, err = read(options(t, k, "two").DataConverter, p)
	require.ErrorIs(t, err, encryption.ErrDamaged)
}

func TestWhatIsNotSealedIsReadAndWhatIsSealedNeedsTheKey(t *testing.T) {
	t.Parallel()
	k := newKeyset(t)
	on, off := options(t, k, "default").DataConverter, options(t, nil, "default").DataConverter
	plain, err := off.ToPayload(number)
	require.NoError(t, err)
	require.Contains(t, string(plain.Data), number)
	out, err := read(in(on, "batch-a"), plain)
	require.NoError(t, err)
	require.Equal(t, number, out)

	sealed, err := in(on, "batch-a").ToPayload(number)
	require.NoError(t, err)
	var undecoded *temporalclient.UndecodedError
	for dc, want := range map[converter.DataConverter]string{
		off: "this process has no keyset", options(t, newKeyset(t), "default").DataConverter: "no key of the keyset opens it",
	} {
		_, err = read(in(dc, "batch-a"), sealed)
		require.ErrorIs(t, err, encryption.ErrNoKey)
		require.ErrorAs(t, err, &undecoded)
		require.ErrorContains(t, err, fmt.Sprintf("key %d", k.Primary()))
		require.ErrorContains(t, err, want)
	}
	// Several values come from one payload each.
	ps, err := on.ToPayloads("a", number, nil)
	require.NoError(t, err)
	ps.Payloads[0] = plain
	var a, b string
	require.NoError(t, on.FromPayloads(ps, &a, &b))
	require.Equal(t, []string{number, number}, []string{a, b})
}

func TestTheTextOfAFailureIsSealedAndItsTypeIsNot(t *testing.T) {
	t.Parallel()
	k := newKeyset(t)
	on := options(t, k, "default").FailureConverter
	sc := converter.ActivitySerializationContext{WorkflowID: "batch-shop/a"}
	err := temporal.NewApplicationErrorWithCause("no route for "+number, contract.ErrInputType, errors.New("because of "+number), number)
	f := converter.WithFailureConverterSerializationContext(on, sc).ErrorToFailure(err)
	require.NotContains(t, f.String(), number)
	require.Equal(t, contract.ErrInputType, f.GetApplicationFailureInfo().GetType())
	require.Equal(t, "shop", string(f.GetEncodedAttributes().GetMetadata()[temporalclient.MetadataTenant]))

	back := on.FailureToError(proto.CloneOf(f))
	require.ErrorContains(t, back, "no route for "+number)
	var app *temporal.ApplicationError
	require.ErrorAs(t, back, &app)
	var detail string
	require.NoError(t, app.Details(&detail))
	require.Equal(t, number, detail)

	off := options(t, nil, "default").FailureConverter
	require.NotContains(t, off.FailureToError(proto.CloneOf(f)).Error(), number)
	require.Equal(t, "no route", off.ErrorToFailure(errors.New("no route")).GetMessage(), "as before")
}

func TestOnlyInAWorkflowTaskACodecsErrorIsAPanic(t *testing.T) {
	t.Parallel()
	sealed, err := options(t, newKeyset(t), "default").DataConverter.ToPayload(number)
	require.NoError(t, err)
	plain, err := converter.GetDefaultDataConverter().ToPayload(1)
	require.NoError(t, err)
	dc := options(t, nil, "default").DataConverter
	inTask := dc.(converter.ContextAware).WithWorkflowContext(workflow.Context(nil))
	require.Panics(t, func() { _, _ = read(inTask, sealed) })
	require.Panics(t, func() { _, _ = read(in(inTask, "batch-a"), sealed) })
	require.NotPanics(t, func() { _, err = read(inTask, plain) })
	require.Error(t, err, "what makes no sense is an error as before")
	for _, dc := range []converter.DataConverter{dc, in(dc, "batch-a"), dc.(converter.ContextAware).WithContext(t.Context())} {
		require.NotPanics(t, func() { _, err = read(dc, sealed) })
		require.Error(t, err)
	}
}

// The SDK drops a signal that it cannot decode, which must not happen for want of a key.
func TestASignalThatCannotBeOpenedEndsTheTask(t *testing.T) {
	t.Parallel()
	p, err := options(t, newKeyset(t), "default").DataConverter.ToPayload("b")
	require.NoError(t, err)
	run := func(signal any) (out string, err error) {
		var suite testsuite.WorkflowTestSuite
		env := suite.NewTestWorkflowEnvironment()
		env.SetDataConverter(options(t, nil, "default").DataConverter)
		env.RegisterDelayedCallback(func() { env.SignalWorkflow("s", signal) }, 0)
		env.ExecuteWorkflow(func(ctx workflow.Context) (text string, err error) {
			workflow.GetSignalChannel(ctx, "s").Receive(ctx, &text)
			return text, nil
		})
		if err := env.GetWorkflowError(); err != nil {
			return "", err
		}
		return out, env.GetWorkflowResult(&out)
	}
	out, err := run("a")
	require.NoError(t, err)
	require.Equal(t, "a", out)
	_, err = run(converter.NewRawValue(p))
	var panicked *temporal.PanicError
	require.ErrorAs(t, err, &panicked)
	require.ErrorContains(t, err, "this process has no keyset")
}

func TestWhoseAWorkflowIs(t *testing.T) {
	t.Parallel()
	for id, tenant := range map[string]string{
		"batch-a": "default", "batch-shop/a": "shop", "batch-shop/a~0007": "shop", "batch-shop/a~notify": "shop", "batch-a~reports": "default",
		"redrive-a~1": "default", "redrive-shop/a~2": "shop", "holds-volley": "", "keyset-volley": "", "other": "", "": "",
		contract.RedriveID("batch-shop/a", 3): "shop", contract.NotifyID("batch-b"): "default", contract.ReportsID("batch-shop/b"): "shop", contract.HoldsID("q"): "",
	} {
		require.Equal(t, tenant, temporalclient.TenantOfWorkflow(id), id)
	}
}
