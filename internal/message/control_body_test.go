package message_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

// FuzzCheckControl holds the check of a control's body to an end, whatever comes.
func FuzzCheckControl(f *testing.F) {
	for _, body := range []string{
		"", "{}", "null", `{"messages":null}`, `{"a":1,"A":2}`, `{"a":[{"b":[1,2,{"c":null}]}]}`,
		"[1\xff]", `{"a":[{"b":1` + "\xff}]}", "{\xff", `{"a"`, `{"a":`, "[,", "[}", "{]", `{"a":1,]`, "[[[[[[[[[[[[",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(_ *testing.T, body []byte) { _ = message.CheckControl(body) })
}

// TestAControlThatIsNotJSONIsCheckedAsFarAsItGoes: what decodes it says the rest.
func TestAControlThatIsNotJSONIsCheckedAsFarAsItGoes(t *testing.T) {
	for _, body := range []string{"", "[1\xff]", `{"a":[{"b":1` + "\xff}]}", "{\xff", `{"a"`, "[}"} {
		require.NoError(t, message.CheckControl([]byte(body)), body)
	}
	require.ErrorContains(t, message.CheckControl([]byte(`{"a":null,`+"\xff")), "a is null")
	require.ErrorContains(t, message.CheckControl([]byte(`{"a":1,"A":2`)), "A is given twice")
}
