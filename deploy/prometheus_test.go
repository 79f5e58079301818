package deploy_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/prometheus/prometheus/config"
	_ "github.com/prometheus/prometheus/discovery/dns" // which prometheus.yml uses
	"github.com/stretchr/testify/require"
)

// Prometheus itself reads the file, which refuses what it does not know.
func TestPrometheusReadsItsConfiguration(t *testing.T) {
	t.Parallel()
	c, err := config.LoadFile("prometheus/prometheus.yml", false, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	jobs := map[string]int{}
	for _, job := range c.ScrapeConfigs {
		require.Equal(t, "/metrics", job.MetricsPath)
		jobs[job.JobName] = len(job.ServiceDiscoveryConfigs)
	}
	require.Equal(t, map[string]int{"volley-worker": 1, "volley-gateway": 1}, jobs, "the jobs that the alerts ask for")
	require.Len(t, c.RuleFiles, 1)
	require.FileExists(t, filepath.Join("prometheus", filepath.Base(c.RuleFiles[0])))
}
