package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"volley/dev/ownhost"
	"volley/internal/encryption"
	"volley/internal/temporalclient"
)

// makeKeyset writes a new keyset where there is none: with another one, what the database
// has could not be read any more.
func makeKeyset(file string) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	k, err := encryption.New()
	if err != nil {
		return err
	}
	data, err := k.JSON()
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return fmt.Errorf("keyset: %w", err)
	}
	return nil
}

// listenCodec takes the port of the codec endpoint, which the Web UI has to be told before
// it starts, and startCodec serves it, which has to know the Web UI.
func (s *stack) listenCodec(ctx context.Context) error {
	if s.keyset.IsOff() {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.o.codecPort)))
	if err != nil {
		return fmt.Errorf("codec: %w", err)
	}
	s.codecListener, s.codec = l, "http://"+l.Addr().String()
	s.stops = append(s.stops, func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

func (s *stack) startCodec(context.Context) error {
	if s.codec == "" {
		return nil
	}
	h := temporalclient.CodecHandler(temporalclient.CodecOptions{
		Keyset: s.keyset, Namespace: s.temporal.Namespace(), Origins: uiOrigins(s.temporal.UIAddress(), s.o.hosts),
	})
	srv := &http.Server{Handler: ownhost.Only(h, s.o.hosts...), ReadHeaderTimeout: 10 * time.Second, ErrorLog: zap.NewStdLog(s.log.Named("codec"))}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(s.codecListener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("codec: %w", err)
		}
	}()
	s.stops = append(s.stops, func() error {
		err := srv.Close()
		<-done
		return err
	})
	return nil
}

// uiOrigins are those of the Web UI at an address, under each of its names.
func uiOrigins(address string, hosts []string) (origins []string) {
	u, err := url.Parse(address)
	if err != nil || address == "" {
		return nil
	}
	for _, name := range append([]string{"localhost", "127.0.0.1", "::1"}, hosts...) {
		origins = append(origins, "http://"+net.JoinHostPort(strings.Trim(name, "[]"), u.Port()))
	}
	return origins
}
