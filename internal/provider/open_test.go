package provider_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/provider"
)

func TestOpenNamesEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := provider.Open([]provider.Account{
		{Name: "b", Provider: "bird", BaseURL: "ftp://user:pass-1@host", AccessKey: "line\nfeed"},
		{Name: "s", Provider: "sinch", KeySecret: "secret-2"},
		{Name: "w", Provider: "webhook", URL: "http://[::1", Secret: "x"},
		{Name: "w", Provider: "pigeon"},
		{
			Provider: "webhook", URL: "https://host", Secret: "x", Rate: -1, Concurrency: -1, Attempts: -1,
			RetryInitial: time.Hour, RetryMax: time.Second, OnUnknown: "guess",
		},
	}, provider.Options{})
	require.Error(t, err)
	for _, line := range []string{
		`account "b": base_url is not an http or https URL`,
		`account "b": workspace is missing`,
		`account "b": channel is missing`,
		`account "b": access_key has a control character in it`,
		`account "s": base_url is missing`,
		`account "s": token_url is missing`,
		`account "s": project is missing`,
		`account "s": app is missing`,
		`account "s": key_id is missing`,
		`account "w": url is not an http or https URL`,
		`account "w": there are two of this name`,
		`account "w": provider "pigeon" is unknown, expected one of bird, sinch, imkit, bluesky, webhook`,
		`account "": name is missing`,
		`account "": rate is negative`,
		`account "": concurrency is negative`,
		`account "": retry.attempts is negative`,
		`account "": retry.initial is above retry.max`,
		`account "": on_unknown is "guess", expected hold or resend`,
	} {
		require.Contains(t, err.Error(), line)
	}
	require.NotContains(t, err.Error(), "pass-1")
	require.NotContains(t, err.Error(), "secret-2")
}

func TestOpenRefusesAWebhookSecretThatIsNotBase64(t *testing.T) {
	t.Parallel()
	_, err := provider.Open([]provider.Account{
		{Name: "hook", Provider: "webhook", URL: "https://host/", Secret: "whsec_not base64!"},
	}, provider.Options{})
	require.EqualError(t, err, `account "hook": secret begins with whsec_ and does not go on in base64`)
}

func TestARegistryListsItsAccountsByName(t *testing.T) {
	t.Parallel()
	z, a := webhookAccount("http://host"), birdAccount("http://host")
	z.Name, a.Name = "z", "a"
	r, err := provider.Open([]provider.Account{z, a}, provider.Options{})
	require.NoError(t, err)
	t.Cleanup(r.Close)
	require.Equal(t, []provider.Account{a, z}, r.Accounts())
	_, ok := r.Sender("a")
	require.True(t, ok)
	_, ok = r.Sender("b")
	require.False(t, ok)
}

func TestAnAccountPrintsNoCredential(t *testing.T) {
	t.Parallel()
	a := birdAccount("http://host")
	a.Name = "main"
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		require.Equal(t, "main (bird)", fmt.Sprintf(format, a))
	}
}

func TestAnAccountsPolicyIsWhatHoldsAtAcceptance(t *testing.T) {
	t.Parallel()
	p := provider.Account{Provider: "webhook"}.Policy()
	require.False(t, p.Reconciles)
	require.EqualValues(t, 5000, p.Settle)
	p = provider.Account{Provider: "webhook", Reconcile: true, Settle: -1}.Policy()
	require.True(t, p.Reconciles)
	require.Zero(t, p.Settle)
	p = provider.Account{Provider: "bird", RetryInitial: time.Second, RetryMax: time.Minute, Attempts: 3, TwoFactor: true, OnUnknown: "resend"}.Policy()
	require.True(t, p.Reconciles)
	require.True(t, p.TwoFactor)
	require.EqualValues(t, 1000, p.RetryInitial)
	require.EqualValues(t, 60000, p.RetryMax)
	require.Equal(t, 3, p.Attempts)
	require.EqualValues(t, "resend", p.OnUnknown)
}
