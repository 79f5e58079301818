package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Set by -ldflags "-X main.version=… -X main.commit=…"; what is empty comes from
// the build itself.
var version, commit string

// buildDocument is what version answers.
type buildDocument struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
	SDK     string `json:"sdk"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Show the version",
		Example:           "  volley version -o json",
		Args:              needs(),
		ValidArgsFunction: noFiles,
		RunE: func(*cobra.Command, []string) error {
			b := build()
			if a.json() {
				return a.print(b)
			}
			t := &table{}
			for _, line := range [][2]string{{"volley", b.Version}, {"commit", b.Commit}, {"go", b.Go}, {"temporal sdk", b.SDK}} {
				t.row(cell{line[0], faint}, cell{line[1], 0})
			}
			a.table(t)
			return nil
		},
	}
}

func build() buildDocument {
	b := buildDocument{Version: version, Commit: commit, Go: runtime.Version(), SDK: "unknown"}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.fill(info)
	}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "dev"
	}
	if b.Commit == "" {
		b.Commit = "unknown"
	}
	return b
}

func (b *buildDocument) fill(info *debug.BuildInfo) {
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && b.Commit == "" {
			b.Commit = s.Value
		}
	}
	for _, d := range info.Deps {
		if d.Path == "go.temporal.io/sdk" {
			b.SDK = d.Version
		}
	}
}
