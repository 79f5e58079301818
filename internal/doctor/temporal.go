package doctor

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"volley/internal/message"
	"volley/internal/serverclock"
)

const (
	// shortRetention is a retention of closed workflows below which ids are free again, and
	// redrives forgotten, before people look.
	shortRetention = 24 * time.Hour
	// polled is how long ago a worker that is there has polled at most.
	polled = 70 * time.Second
)

// Place is a namespace of a Temporal server.
type Place struct {
	Service            workflowservice.WorkflowServiceClient
	Address, Namespace string
}

// Temporal looks whether the server answers and has the namespace, and how long that keeps
// closed batches, which the store should do as well.
func Temporal(p Place, storeRetention time.Duration) Check {
	const name = "temporal"
	return Check{name, func(ctx context.Context) []Finding {
		info, err := p.Service.GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
		if err != nil {
			return []Finding{wrong(name, "start the server, or set TEMPORAL_ADDRESS, TLS and the API key right", "%s does not answer: %s", p.Address, plain(err))}
		}
		space, err := p.Service.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: p.Namespace})
		var absent *serviceerror.NamespaceNotFound
		switch {
		case errors.As(err, &absent):
			return []Finding{wrong(name, "temporal operator namespace create "+p.Namespace+", or set TEMPORAL_NAMESPACE", "%s has no namespace %s", p.Address, p.Namespace)}
		case err != nil:
			return []Finding{warning(name, "", "server %s at %s; the namespace %s cannot be looked at: %s", info.GetServerVersion(), p.Address, p.Namespace, plain(err))}
		}
		keeps := space.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration()
		found := []Finding{ok(name, "server %s at %s, namespace %s keeps ended batches for %s", info.GetServerVersion(), p.Address, p.Namespace, span(keeps))}
		if keeps > 0 && keeps < shortRetention {
			found = append(found, warning("retention", "temporal operator namespace update --retention 72h "+p.Namespace,
				"ended batches are forgotten after %s: their ids are free then, and the same batch can start again", span(keeps)))
		}
		if keeps > storeRetention {
			found = append(found, warning("retention", "make store_retention at least as long",
				"volley purge removes ended large batches after %s, while Temporal lists them for %s", span(storeRetention), span(keeps)))
		}
		return append(found, payloads(space.GetNamespaceInfo().GetLimits().GetBlobSizeLimitError())...)
	}}
}

// payloads looks at how many bytes a payload may have; 0 is that the server does not say.
func payloads(limit int64) []Finding {
	const name, do = "payloads", "set limit.blobSize.error in the server's dynamic configuration to its default of 2 MiB"
	room := message.RoomOf(limit)
	switch {
	case room == 0:
		return nil
	case room < message.MaxLarge:
		return []Finding{wrong(name, do, "the server takes %s at most: no large batch can start", message.Plural(int(limit), "byte"))}
	}
	return []Finding{warning(name, do, "the server takes %s at most, not 2 MiB: batches that are larger need the store, and those that run may be stuck",
		message.Plural(int(limit), "byte"))}
}

// Attributes looks for search attributes. missing are those that the server lacks, and
// needed tells of one whether no batch starts without it.
func Attributes(missing func(context.Context) ([]string, error), needed func(string) bool) Check {
	const name, do = "search attributes", "volley setup"
	return Check{name, func(ctx context.Context) []Finding {
		lacking, err := missing(ctx)
		if err != nil {
			return []Finding{wrong(name, "an attribute of another type has to be removed by hand, then volley setup", "%s", plain(err))}
		}
		for _, attribute := range lacking {
			if needed(attribute) {
				return []Finding{wrong(name, do, "no batch can start without %s", strings.Join(lacking, ", "))}
			}
		}
		if len(lacking) > 0 {
			return []Finding{warning(name, do, "without %s nobody knows whether the same content went out before", strings.Join(lacking, ", "))}
		}
		return []Finding{ok(name, "all are there")}
	}}
}

// Clock compares this machine's clock with the server's.
func Clock(p Place, taskQueue string, now func() time.Time) Check {
	const name = "clock"
	return Check{name, func(ctx context.Context) []Finding {
		offset, err := serverclock.Measure(ctx, serverclock.Options{Server: p.Service, Namespace: p.Namespace, TaskQueue: taskQueue, Now: now})
		switch {
		case err != nil:
			return []Finding{warning(name, "see that all machines set their clocks by NTP", "it cannot be compared with Temporal's: %s", plain(err))}
		case offset.Off():
			return []Finding{wrong(name, "set it by NTP", "this machine is %s", offset)}
		}
		return []Finding{ok(name, "%d ms from Temporal's, measured to %d ms", offset.Ahead.Milliseconds(), offset.Within.Milliseconds())}
	}}
}

// plain is an error as one line.
func plain(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
