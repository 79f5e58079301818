package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"volley/dev/server"
)

// envDB makes the test binary a server on the named file.
const envDB = "VOLLEY_TEST_SERVER_DB"

func TestMain(m *testing.M) {
	if db := os.Getenv(envDB); db != "" {
		if err := serve(db); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serve starts a workflow that nobody works on, says so, and waits to be killed.
func serve(db string) error {
	ctx := context.Background()
	s, err := server.Start(ctx, server.Options{DB: db})
	if err != nil {
		return err
	}
	c, err := client.Dial(client.Options{HostPort: s.Address(), Logger: silent()})
	if err != nil {
		return err
	}
	if _, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: "nap", TaskQueue: queue}, nap, time.Hour); err != nil {
		return err
	}
	fmt.Print("up")
	select {}
}

func silent() sdklog.Logger { return sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)) }

func port(t *testing.T, address string) int {
	t.Helper()
	_, p, err := net.SplitHostPort(address)
	require.NoError(t, err)
	n, err := strconv.Atoi(p)
	require.NoError(t, err)
	return n
}
