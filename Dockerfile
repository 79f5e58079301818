# syntax=docker/dockerfile:1
# The volley binary: static, without a shell, not root.

FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -tags disable_grpc_modules -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/volley ./cmd/volley \
 && mkdir -p /out/store

# One static file that asks over HTTP, for health checks: there is no shell.
FROM busybox:1.37.0-musl AS busybox

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=busybox /bin/busybox /bin/wget
COPY --from=build /out/volley /volley
# A named volume takes over the owner of the directory that it covers.
COPY --from=build --chown=65532:65532 /out/store /var/lib/volley
USER 65532:65532
ENTRYPOINT ["/volley"]
CMD ["worker"]
