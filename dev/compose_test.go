package main

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/distribution/reference"
	"github.com/stretchr/testify/require"
	dc "go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"

	"volley/dev/sandbox"
	"volley/dev/server"
)

// compose reads docker-compose.yml as Docker would, with no variable set but the gateway's
// key.
func compose(t *testing.T) *types.Project {
	t.Helper()
	p, err := composeWith(t, cli.WithEnv([]string{"GATEWAY_KEY=0123456789abcdef"}))
	require.NoError(t, err)
	return p
}

func composeWith(t *testing.T, more ...cli.ProjectOptionsFn) (*types.Project, error) {
	t.Helper()
	options := append([]cli.ProjectOptionsFn{cli.WithDiscardEnvFile, cli.WithResolvedPaths(true), cli.WithProfiles([]string{"metrics"})}, more...)
	o, err := cli.NewProjectOptions([]string{filepath.Join("..", "docker-compose.yml")}, options...)
	require.NoError(t, err)
	return o.LoadProject(t.Context())
}

func TestComposeDemandsAKey(t *testing.T) {
	t.Parallel()
	_, err := composeWith(t)
	require.ErrorContains(t, err, "GATEWAY_KEY")
	require.ErrorContains(t, err, "at least 16 characters")
}

func TestComposeStartsTheServicesInOrder(t *testing.T) {
	t.Parallel()
	const healthy, done = types.ServiceConditionHealthy, types.ServiceConditionCompletedSuccessfully
	want := map[string]map[string]string{
		"postgres":           {},
		"temporal-schema":    {"postgres": healthy},
		"temporal":           {"temporal-schema": done},
		"temporal-namespace": {"temporal": healthy},
		"volley-setup":       {"temporal-namespace": done},
		"worker":             {"volley-setup": done},
		"gateway":            {"volley-setup": done},
		"temporal-ui":        {"temporal": healthy},
		"prometheus":         {},
		"grafana":            {"prometheus": healthy},
	}
	got := map[string]map[string]string{}
	for name, s := range compose(t).Services {
		got[name] = map[string]string{}
		for other, d := range s.DependsOn {
			got[name][other] = d.Condition
		}
	}
	require.Equal(t, want, got)
}

func TestComposeChecksWhatStaysUpAndPinsWhatItPulls(t *testing.T) {
	t.Parallel()
	for name, s := range compose(t).Services {
		oneShot := strings.HasPrefix(s.Restart, "on-failure")
		require.Equal(t, oneShot, s.HealthCheck == nil, "%s: what stays up has a health check, what ends has none", name)
		if s.Build == nil {
			pinned(t, s.Image)
		}
		for _, p := range s.Ports {
			require.Equal(t, "127.0.0.1", p.HostIP, "%s: nothing listens beyond this host", name)
		}
	}
}

// pinned holds an image to one version, so that nobody gets another one under its name:
// three numbers, or for PostgreSQL, whose versions have no more, two.
func pinned(t *testing.T, image string) {
	t.Helper()
	named, err := reference.ParseNormalizedNamed(image)
	require.NoError(t, err)
	if _, digest := named.(reference.Digested); digest {
		return
	}
	tagged, ok := named.(reference.Tagged)
	require.True(t, ok, "%s has no version", image)
	numbers := `\d+\.\d+\.\d+`
	if reference.Path(named) == "library/postgres" {
		numbers = `\d+\.\d+`
	}
	require.Regexp(t, `^v?`+numbers+`(-[a-z0-9]+)*$`, tagged.Tag(), "%s floats", image)
}

// distroless has no versions: who wants one gives its digest.
const distroless = "gcr.io/distroless/static-debian12:nonroot"

func TestTheImageIsBuiltFromVersions(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "Dockerfile"))
	require.NoError(t, err)
	from := regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(string(text), -1)
	require.Len(t, from, 3)
	for _, image := range from {
		if image[1] != distroless {
			pinned(t, image[1])
		}
	}
}

func TestComposeRunsTheVersionsThatTheTestsRun(t *testing.T) {
	t.Parallel()
	p := compose(t)
	require.Equal(t, "temporalio/server:"+server.Version(), p.Services["temporal"].Image)
	require.Equal(t, "temporalio/admin-tools:"+server.Version(), p.Services["temporal-schema"].Image)
	require.Equal(t, "temporalio/admin-tools:"+server.Version(), p.Services["temporal-namespace"].Image)
	require.Equal(t, "temporalio/ui:"+required(t, "github.com/temporalio/ui-server/v2"), p.Services["temporal-ui"].Image)
}

// required is a module's version in go.mod, without the v.
func required(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", module).Output()
	require.NoError(t, err)
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "v")
}

// TestComposeScrapesWhereWorkerAndGatewayListen holds Prometheus to the services' names and
// ports, and Grafana to the data source that its dashboard names.
func TestComposeScrapesWhereWorkerAndGatewayListen(t *testing.T) {
	t.Parallel()
	p := compose(t)
	text, err := os.ReadFile(filepath.Join("..", "deploy", "prometheus", "prometheus.yml"))
	require.NoError(t, err)
	for _, name := range []string{"worker", "gateway"} {
		command := p.Services[name].Command
		require.Contains(t, string(text), "names: ["+name+"], type: A, port: "+strings.TrimPrefix(command[slices.Index(command, "--listen")+1], ":")+",")
	}
	require.Equal(t, []string{"metrics"}, p.Services["prometheus"].Profiles)
	require.Equal(t, []string{"metrics"}, p.Services["grafana"].Profiles)
	dashboard := *p.Services["grafana"].Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	require.FileExists(t, filepath.Join(onHost(t, p.Services["grafana"], filepath.Dir(dashboard)), filepath.Base(dashboard)))
	require.FileExists(t, filepath.Join(onHost(t, p.Services["prometheus"], "/etc/prometheus"), "alerts.yml"))
}

func TestComposeKeepsStateInNamedVolumes(t *testing.T) {
	t.Parallel()
	p := compose(t)
	for name, target := range map[string]string{"postgres": "/var/lib/postgresql/data", "worker": "/var/lib/volley", "gateway": "/var/lib/volley", "prometheus": "/prometheus"} {
		i := slices.IndexFunc(p.Services[name].Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == target })
		require.GreaterOrEqual(t, i, 0, "%s keeps %s", name, target)
		v := p.Services[name].Volumes[i]
		require.Equal(t, types.VolumeTypeVolume, v.Type)
		require.Contains(t, p.Volumes, v.Source)
	}
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind {
				_, err := os.Stat(v.Source)
				require.NoError(t, err, "%s mounts what the repository has", name)
			}
		}
	}
}

func TestComposeConfiguresTheServerAsTheEmbeddedOneIs(t *testing.T) {
	t.Parallel()
	s := compose(t).Services["temporal"]
	text, err := os.ReadFile(onHost(t, s, *s.Environment["DYNAMIC_CONFIG_FILE_PATH"]))
	require.NoError(t, err)
	loaded := dc.LoadYamlFile(text)
	require.Empty(t, loaded.Errors)
	require.Empty(t, loaded.Warnings, "the server knows every key")
	values := dc.NewCollection(dc.StaticClient(staticOf(loaded.Map)), log.NewNoopLogger())
	require.Equal(t, 2000, dc.MaximumBufferedEventsBatch.Get(values)())
	require.False(t, dc.EnableServerVersionCheck.Get(values)())
	require.True(t, dc.EnableCancelWorkerPollsOnShutdown.Get(values)(server.DefaultNamespace), "a worker that drains leaves no attempt in doubt")
	require.Contains(t, string(text), "matching.enableFairness:\n  - value: true")
}

func staticOf(m dc.ConfigValueMap) map[dc.Key]any {
	out := map[dc.Key]any{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

// onHost is the file of the repository that is mounted at a path of a container.
func onHost(t *testing.T, s types.ServiceConfig, path string) string {
	t.Helper()
	for _, v := range s.Volumes {
		if v.Target == path {
			return v.Source
		}
	}
	require.Failf(t, "not mounted", "%s has no %s", s.Name, path)
	return ""
}

func TestTheImageIsStaticAndNotRoot(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "Dockerfile"))
	require.NoError(t, err)
	_, final, ok := strings.Cut(string(text), "\nFROM gcr.io/distroless/static-debian12:nonroot\n")
	require.True(t, ok, "the final image holds nothing but static files")
	require.Contains(t, final, "\nUSER 65532:65532\n")
	require.Contains(t, final, "\nENTRYPOINT [\"/volley\"]\n")
	require.Contains(t, string(text), "CGO_ENABLED=0 go build -trimpath -tags disable_grpc_modules ")
}

func TestTheBuildContextHoldsEveryPackageOfTheBinary(t *testing.T) {
	t.Parallel()
	ignore, err := os.ReadFile(filepath.Join("..", ".dockerignore"))
	require.NoError(t, err)
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", `{{if .Module}}{{if eq .Module.Path "volley"}}{{.ImportPath}}{{end}}{{end}}`, "./cmd/volley")
	list.Dir = ".."
	out, err := list.Output()
	require.NoError(t, err)
	for p := range strings.FieldsSeq(string(out)) {
		top, _, _ := strings.Cut(strings.TrimPrefix(p, "volley/"), "/")
		require.Contains(t, string(ignore), "!"+top+"/\n", "%s is in the build context", p)
	}
}

func TestWhatComposeRunsRunsAgainstTheEmbeddedServer(t *testing.T) {
	t.Parallel()
	p := compose(t)
	binary := staticBinary(t)
	s, err := server.Start(t.Context(), server.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })

	setup := inContainer(t, binary, p.Services["volley-setup"], s.Address())
	out, err := setup.CombinedOutput()
	require.NoError(t, err, string(out))

	const secret = "whsec_c2FuZGJveC1zYW5kYm94LXNhbmRib3gtc2FuZGJveCE="
	box := sandbox.New(sandbox.Options{Secret: secret})
	hook := httptest.NewServer(box)
	t.Cleanup(hook.Close)
	run := p.Services["worker"]
	url, key := hook.URL+"/webhook/hook", secret
	run.Environment["HOOK_URL"], run.Environment["HOOK_SECRET"] = &url, &key
	_, endWorker := serves(t, binary, run, s.Address())
	gateway, endGateway := serves(t, binary, p.Services["gateway"], s.Address())

	started, posted := headCommands(t)
	start := inContainer(t, binary, run, s.Address())
	start.Args = append([]string{binary}, started...)
	out, err = start.CombinedOutput()
	var ended *exec.ExitError
	require.ErrorAs(t, err, &ended, "%v: %s", started, out)
	require.Equal(t, 3, ended.ExitCode(), "one message of the example is rejected: %s", out)
	require.Contains(t, string(out), "completed 4/4: 3 sent, 1 rejected")
	require.NotZero(t, box.Counts().Total, "what it sends arrives")
	before := box.Counts().Total

	if _, err := exec.LookPath("curl"); err == nil {
		curl := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(posted, "http://localhost:8080", "http://"+gateway)+" --fail-with-body")
		curl.Dir = ".."
		curl.Env = append(os.Environ(), "GATEWAY_KEY="+*run.Environment["GATEWAY_KEY"])
		out, err := curl.CombinedOutput()
		require.NoError(t, err, "%s: %s", posted, out)
		require.Eventually(t, func() bool { return box.Counts().Total >= 2*before }, time.Minute, 50*time.Millisecond, "%s", out)
	}
	endGateway()
	endWorker()
}

// headCommands are the commands that the head of docker-compose.yml names: what volley
// gets of the one in a container, and the line for a shell of the other.
func headCommands(t *testing.T) (start []string, curl string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docker-compose.yml"))
	require.NoError(t, err)
	examples, err := filepath.Abs(filepath.Join("..", "examples"))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "#"))
		if _, args, ok := strings.Cut(line, " worker "); ok && strings.HasPrefix(line, "docker compose run ") {
			require.Contains(t, line, `-v "$PWD/examples:/examples:ro"`)
			start = strings.Fields(strings.ReplaceAll(args, "/examples/", examples+"/"))
		}
		if strings.HasPrefix(line, "curl ") {
			curl = line
		}
	}
	require.NotEmpty(t, start)
	require.NotEmpty(t, curl)
	return start, curl
}

// serves runs a service until it is ready, and then, by end, ends it as Docker does.
func serves(t *testing.T, binary string, service types.ServiceConfig, temporal string) (address string, end func()) {
	t.Helper()
	at := slices.Index(service.Command, "--listen") + 1
	require.Positive(t, at)
	require.Contains(t, service.HealthCheck.Test[len(service.HealthCheck.Test)-1], "127.0.0.1"+service.Command[at]+"/readyz",
		"the health check asks where it listens")
	service.Command = slices.Clone(service.Command)
	service.Command[at] = "127.0.0.1:0"
	cmd := inContainer(t, binary, service, temporal)
	cmd.Args = append(cmd.Args, "--log-format", "json")
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	address, rest := listening(t, stderr)
	ready(t, "http://"+address+"/readyz")
	drained := make(chan struct{})
	go func() {
		_, _ = io.Copy(rest, stderr)
		close(drained)
	}()
	return address, func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		<-drained
		require.NoError(t, cmd.Wait(), "SIGTERM ends it without an error: %s", rest)
	}
}

// staticBinary builds volley as the Dockerfile does.
func staticBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "volley")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-tags", "disable_grpc_modules", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, "./cmd/volley")
	build.Dir = ".."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	if f, err := elf.Open(path); err == nil {
		defer func() { _ = f.Close() }()
		for _, p := range f.Progs {
			require.NotEqual(t, elf.PT_INTERP, p.Type, "the binary is static")
		}
	}
	return path
}

// inContainer is a service's command as its container would run it, save that
// Temporal is elsewhere and mounted files are those of the repository.
func inContainer(t *testing.T, binary string, s types.ServiceConfig, temporal string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, s.Command...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"HOME=" + cmd.Dir}
	for k, v := range s.Environment {
		require.NotNil(t, v, "%s has a value", k)
		switch value := *v; k {
		case "TEMPORAL_ADDRESS":
			require.Equal(t, "temporal:7233", value)
			cmd.Env = append(cmd.Env, k+"="+temporal)
		case "VOLLEY_CONFIG":
			cmd.Env = append(cmd.Env, k+"="+withFileIndex(t, binary, onHost(t, s, value)))
		default:
			cmd.Env = append(cmd.Env, k+"="+value)
		}
	}
	return cmd
}

// withFileIndex is a copy of a configuration whose index is a file beside the binary, in the
// place of the PostgreSQL that only compose runs.
func withFileIndex(t *testing.T, binary, config string) string {
	t.Helper()
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	const there = "postgres://temporal:${POSTGRES_PASSWORD}@postgres:5432/volley"
	require.Contains(t, string(text), there)
	here := "sqlite://" + filepath.Join(filepath.Dir(binary), "index.db")
	path := filepath.Join(t.TempDir(), "volley.yaml")
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(text), there, here)), 0o600))
	return path
}

// listening reads a worker's log until it says where it listens, and returns what
// it read.
func listening(t *testing.T, log io.Reader) (string, *bytes.Buffer) {
	t.Helper()
	read := new(bytes.Buffer)
	lines := bufio.NewReader(log)
	for {
		line, err := lines.ReadBytes('\n')
		read.Write(line)
		require.NoError(t, err, "it ended: %s", read)
		var entry struct{ Address string }
		if json.Unmarshal(line, &entry) == nil && entry.Address != "" {
			return entry.Address, read
		}
	}
}

func ready(t *testing.T, url string) {
	t.Helper()
	require.Eventually(t, func() bool {
		resp, err := http.Get(url)
		if err != nil {
			return false
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		return err == nil && resp.StatusCode == http.StatusOK && string(body) == "ok\n"
	}, 30*time.Second, 50*time.Millisecond)
}
