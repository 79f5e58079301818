package message_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

func TestSMSAreCountedAsNetworksDo(t *testing.T) {
	t.Parallel()
	times := strings.Repeat
	for name, c := range map[string]struct {
		text string
		want message.SMS
	}{
		"nothing":                               {"", message.SMS{Encoding: "GSM-7", Units: 0, Parts: 1}},
		"a sentence":                            {"Hi Ann, it is 5 o'clock.", message.SMS{Encoding: "GSM-7", Units: 24, Parts: 1}},
		"160 septets":                           {times("a", 160), message.SMS{Encoding: "GSM-7", Units: 160, Parts: 1}},
		"161 septets":                           {times("a", 161), message.SMS{Encoding: "GSM-7", Units: 161, Parts: 2}},
		"two full parts":                        {times("a", 306), message.SMS{Encoding: "GSM-7", Units: 306, Parts: 2}},
		"one more":                              {times("a", 307), message.SMS{Encoding: "GSM-7", Units: 307, Parts: 3}},
		"80 of the extension":                   {times("€", 80), message.SMS{Encoding: "GSM-7", Units: 160, Parts: 1}},
		"81 of the extension":                   {times("€", 81), message.SMS{Encoding: "GSM-7", Units: 162, Parts: 2}},
		"an extension at the edge is not split": {times("a", 152) + "€" + times("a", 152), message.SMS{Encoding: "GSM-7", Units: 306, Parts: 3}},
		"the whole extension":                   {"\f^{}\\[~]|€", message.SMS{Encoding: "GSM-7", Units: 20, Parts: 1}},
		"umlauts":                               {"Grüße, Ärger, ÖÑ¿ àéè", message.SMS{Encoding: "GSM-7", Units: 21, Parts: 1}},
		"Greek capitals of the table":           {"ΔΦΓΛΩΠΨΣΘΞ", message.SMS{Encoding: "GSM-7", Units: 10, Parts: 1}},
		"a small c with cedilla is not in the table": {"ça", message.SMS{Encoding: "UCS-2", Units: 2, Parts: 1}},
		"a grave accent is not in the table":         {"`", message.SMS{Encoding: "UCS-2", Units: 1, Parts: 1}},
		"a combining accent is a character":          {"e\u0301", message.SMS{Encoding: "UCS-2", Units: 2, Parts: 1}},
		"a curly quote makes all of it UCS-2":        {"it’s " + times("a", 66), message.SMS{Encoding: "UCS-2", Units: 71, Parts: 2}},
		"70 of UCS-2":                                {times("ж", 70), message.SMS{Encoding: "UCS-2", Units: 70, Parts: 1}},
		"71 of UCS-2":                                {times("ж", 71), message.SMS{Encoding: "UCS-2", Units: 71, Parts: 2}},
		"134 of UCS-2":                               {times("ж", 134), message.SMS{Encoding: "UCS-2", Units: 134, Parts: 2}},
		"135 of UCS-2":                               {times("ж", 135), message.SMS{Encoding: "UCS-2", Units: 135, Parts: 3}},
		"35 of two units":                            {times("👋", 35), message.SMS{Encoding: "UCS-2", Units: 70, Parts: 1}},
		"one of two units at the edge is not split":  {times("👋", 67), message.SMS{Encoding: "UCS-2", Units: 134, Parts: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, message.CountSMS(c.text))
		})
	}
}

// The default alphabet has 128 codes, of which one is the escape to its extension.
func TestTheAlphabetOfGSMHas127Characters(t *testing.T) {
	t.Parallel()
	in := 0
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if s := message.CountSMS(string(r)); utf8.ValidRune(r) && s.Encoding == message.EncodingGSM7 && s.Units == 1 {
			in++
		}
	}
	require.Equal(t, 127, in)
}
