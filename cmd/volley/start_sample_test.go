package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/message"
)

// anyTest stands for the id of a test, which is new each time.
var anyTest = regexp.MustCompile(`test-[0-9a-f-]{36}`)

func TestATestOfAStartGoesToOneAddress(t *testing.T) {
	t.Parallel()
	for _, output := range []string{"text", "json"} {
		f := &fake{}
		s := withConfig(t, f)
		s.stdin = goodBody
		r := s.run(t, "start", "--dialect", "volley", "--id", "b1", "--test-to", "+1 555 000 9999", "-o", output, "-")
		require.Regexp(t, anyTest, f.request.ID, "the id is not the batch's own")
		r.stdout = anyTest.ReplaceAllString(r.stdout, "test-ID")
		golden(t, "start.test-to."+output, r)
		require.Len(t, f.request.Batch.Messages, 2)
		for i := range f.request.Batch.Messages {
			m := &f.request.Batch.Messages[i]
			require.Equal(t, "+15550009999", m.To)
			require.Equal(t, []message.Hop{{Account: "hook"}, {Account: "spare"}}, f.request.Batch.HopsOf(m))
			require.Equal(t, moment.UnixMilli(), f.request.Batch.DueAt(m), "at once, also what is due in two hours")
		}
	}
}

func TestATestOfALargeFileIsASmallBatch(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := withConfig(t, f)
	s.stdin = "to,name\n" + strings.Repeat("+15550001111,Ann\n", 60_000) + "+15550001111,\n"
	r := s.run(t, "start", "--dialect", "volley", "--text", "Hi ${name}", "--test-to", "+15550009999", "--sample", "2", "-y", "-")
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, "2 of 60,001 messages, to +15550009999")
	require.Len(t, f.request.Batch.Messages, 2)
	require.Empty(t, f.large)
}

func TestATestThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	for args, says := range map[string]string{
		"--test-to= -":                          "--test-to is empty",
		"--sample 2 -":                          "--sample is for --test-to",
		"--test-to +15550009999 --sample 0 -":   "--sample 0, expected 1 to 20",
		"--test-to +15550009999 --sample 21 -":  "--sample 21, expected 1 to 20",
		"--test-to +15550009999 --account no -": "nothing was started",
	} {
		f := &fake{}
		s := withConfig(t, f)
		s.stdin = goodBody
		r := s.run(t, append([]string{"start", "--dialect", "volley"}, strings.Fields(args)...)...)
		require.Equal(t, exitUsage, r.code, args)
		require.Contains(t, r.stderr, says, args)
		require.Zero(t, f.startCalls, args)
		r = s.run(t, append([]string{"start", "--dialect", "volley", "-o", "json"}, strings.Fields(args)...)...)
		require.Equal(t, exitUsage, r.code, args)
		require.Contains(t, r.stdout, "{", args)
	}
	f := &fake{}
	s := withConfig(t, f)
	s.stdin = badBody
	r := s.run(t, "start", "--dialect", "volley", "--test-to", "+15550009999", "-")
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.stderr, "no message is valid")
	require.Zero(t, f.startCalls)
}
