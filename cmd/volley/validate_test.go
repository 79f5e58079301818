package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body string
		code int
	}{
		"good": {goodBody, 0}, "some": {someBody, 2}, "whole": {"[]", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, output := range []string{"text", "json"} {
				s := withConfig(t, nil)
				s.stdin = tt.body
				r := s.run(t, "validate", "--dialect", "volley", "-o", output, "-")
				golden(t, "validate."+name+"."+output, r)
				require.Equal(t, tt.code, r.code)
				golden(t, "validate.render-"+name+"."+output, s.run(t, "validate", "--dialect", "volley", "--render", "-o", output, "-"))
			}
		})
	}
}

func TestValidateNeedsNoConfig(t *testing.T) {
	t.Parallel()
	s := setting{stdin: goodBody}
	r := s.run(t, "validate", "--dialect", "volley", "--render", "-")
	golden(t, "validate.no-config", r)
	require.Equal(t, 0, r.code)
	require.Contains(t, r.stderr, "routing is not checked and defaults apply")
}

// Every example that stands for a dialect can be read without a configuration.
func TestExamples(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, name := range dialectNames() {
		file := filepath.Join("..", "..", "examples", name+".json")
		if _, err := os.Stat(file); err != nil {
			continue
		}
		seen++
		r := setting{}.run(t, "validate", "--dialect", name, "--render", "-o", "json", file)
		doc := document(t, r)
		require.Positive(t, doc["total"], "%s: %s", file, r.stdout)
		require.Positive(t, doc["valid"], "%s: %s", file, r.stdout)
		require.Len(t, doc["messages"], int(doc["total"].(float64)))
	}
	require.Equal(t, len(dialectNames()), seen, "there is an example of every dialect")
}

func TestTheExampleConfigIsWhatTheCommandsRead(t *testing.T) {
	t.Parallel()
	s := setting{env: []string{"VOLLEY_CONFIG=../../examples/volley.yaml"}, stdin: goodBody}
	r := s.run(t, "validate", "--dialect", "volley", "--render", "-", "-o", "json")
	require.Equal(t, 0, r.code, r.stderr)
	require.Contains(t, r.stdout, `"account":"hook"`)
}

// A batch that does not fit into one workflow has segments.
func TestTheEstimateKnowsWhatIsLarge(t *testing.T) {
	t.Parallel()
	many := `{"text":"Hi","messages":[` + strings.Repeat(`{"to":"a"},`, 1000) + `{"to":"b"}]}`
	long := `{"text":"` + strings.Repeat("x", 1<<20) + `","messages":[{"to":"a"}]}`
	for name, tt := range map[string]struct {
		body, flag string
		want       int
	}{
		"many messages": {many, "message", 2},
		"many bytes":    {long, "message", 1},
		"in groups":     {goodBody, "group", 1},
		"a small batch": {goodBody, "message", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, command := range []string{"validate", "start"} {
				s := withConfig(t, nil)
				s.stdin = tt.body
				r := s.run(t, command, "--dialect", "volley", "-o", "json", "--dispatch", tt.flag, "-")
				require.Equal(t, 0, r.code, r.stderr)
				estimate, ok := document(t, r)["estimate"].(map[string]any)
				require.True(t, ok)
				require.InDelta(t, tt.want, estimate["segments"], 0)
			}
		})
	}
}

func TestTooManyMessages(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"validate", "start"} {
		s := setting{env: []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", testConfig+"limits: {batch_messages: 1}\n")}, stdin: goodBody}
		r := s.run(t, command, "--dialect", "volley", "-o", "json", "-")
		require.Equal(t, 2, r.code, r.stderr)
		require.Contains(t, r.stdout, `"too_many"`)
	}
}

func TestTheEstimateSaysWhenItEnds(t *testing.T) {
	t.Parallel()
	config := strings.Replace(testConfig, "hook: {", "hook: {rate: 1/s, ", 1)
	s := setting{env: []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", config)}, fake: &fake{}}
	s.stdin = `{"text":"Hi","ttl":"10s","messages":[{"to":"a"}` + strings.Repeat(`,{"to":"a"}`, 59) + `]}`
	golden(t, "validate.rate", s.run(t, "validate", "--dialect", "volley", "-"))
	golden(t, "start.rate", s.run(t, "start", "--dialect", "volley", "--id", "b1", "-"))
}

func TestFlagsForCSVAreRefusedBesideAnother(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		dialect, body, flag string
		code                int
	}{
		{"volley", goodBody, "--text=Hi", 2},
		{"volley", goodBody, "--channel=SMS", 2},
		{"volley", goodBody, "--metadata=k=v", 2},
		{"volley", goodBody, "--priority=2", 2},
		{"volley", goodBody, "--default-region=DE", 2},
		{"volley", goodBody, "--await-reports=10m", 2},
		{"volley", goodBody, "--callback-url=https://example.com", 2},
		{"volley", goodBody, "--callback-messages", 2},
		{"volley", goodBody, "--callback-messages=false", 0},
		{"volley", "{\"text\":\"Hi\"}\n{\"to\":\"a\"}\n", "--text=Hi", 2},
		{"bluesky", `{"items":[]}`, "--text=Hi", 2},
		{"volley", "\ufeffto\na\n", "--text=Hi", 0},
	} {
		s := withConfig(t, nil)
		s.stdin = tt.body
		r := s.run(t, "validate", "--dialect", tt.dialect, tt.flag, "-")
		require.Equal(t, tt.code, r.code, r.stdout+r.stderr)
		if tt.code == 2 {
			require.Contains(t, r.stderr, "for CSV files")
		}
	}
}

func TestTheHeaderOfACSVFileComesFromFlags(t *testing.T) {
	t.Parallel()
	for args, code := range map[string]int{
		"--metadata=campaign=x --metadata=a=b=c --priority=2": 0,
		"--metadata=campaign":                     2,
		"--default-region=de":                     0,
		"--default-region=germany":                2,
		"--metadata==x":                           2,
		"--metadata=a=1 --metadata=a=2":           2,
		"--priority=9":                            2,
		"--priority=-1":                           2,
		"--await-reports=10m --callback-messages": 0,
		"--callback-url=https://example.com/e":    0,
		"--callback-url=example.com":              2,
		"--await-reports=73h":                     2,
		"--await-reports=-1s":                     2,
		"--await-reports=soon":                    2,
	} {
		s := setting{env: []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml", strings.Replace(testConfig, "tenants: {", "tenants: {default: {callbacks: {secret: c2VjcmV0c2VjcmV0c2VjcmV0}}, ", 1))}}
		s.stdin = "to\na\n"
		r := s.run(t, append([]string{"validate", "--dialect", "volley", "--text", "Hi", "-"}, strings.Fields(args)...)...)
		require.Equal(t, code, r.code, args+r.stdout+r.stderr)
	}
}

func TestRenderSaysThatTheValidityIsOver(t *testing.T) {
	t.Parallel()
	s := withConfig(t, nil)
	s.stdin = `{"text":"Hi","ttl":"1h","messages":[{"to":"a","sendAfter":"2020-01-01T09:00:00Z"}]}`
	r := s.run(t, "validate", "--dialect", "volley", "--render", "-o", "json", "-")
	require.Equal(t, 0, r.code, r.stderr)
	require.Contains(t, r.stdout, `"state":"expired"`)
}

func TestANumberThatIsSentInAnotherFormIsShownAsItWasWrittenToo(t *testing.T) {
	t.Parallel()
	s := setting{env: []string{"VOLLEY_CONFIG=" + write(t, "volley.yaml",
		"accounts: {b: {provider: bird, base_url: 'http://127.0.0.1:1', workspace: w, channel: c, access_key: sandbox-sandbox}}\nroutes: [{hops: [b]}]\n")}}
	s.stdin = "to\n+1 (555) 000-1001\n+15550001002\n"
	r := s.run(t, "validate", "--dialect", "volley", "--text", "Hi", "--render", "-")
	require.Equal(t, 0, r.code, r.stderr)
	require.Contains(t, r.stdout, "#0 to +15550001001\nwritten as  +1 (555) 000-1001\n")
	require.Equal(t, 1, strings.Count(r.stdout, "written as"), "only where it is another form")
}
