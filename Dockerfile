# One static binary on an empty image. The root file system may be read-only:
# only /data is written to (the SQLite file, and temporary files).
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/bailiwick ./cmd/bailiwick \
 && mkdir -p /out/data

FROM scratch
ARG VERSION=unknown
LABEL org.opencontainers.image.title="bailiwick" \
      org.opencontainers.image.description="Answers access questions, keeps and versions the policy behind them" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
# Certificates for databases that are reached over TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/LICENSE /LICENSE
COPY --from=build /out/bailiwick /bailiwick
COPY --from=build --chown=65532:65532 /out/data /data
# Inside a container loopback reaches nobody. The DSN has no variable here: its
# default is a file in the working folder, and BAILIWICK_STORE_DSN or
# BAILIWICK_STORE_DSN_FILE say otherwise.
ENV BAILIWICK_SERVER_LISTEN=:8080 \
    TMPDIR=/data
WORKDIR /data
VOLUME ["/data"]
# A number, so that runAsNonRoot can be checked without a passwd file.
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 CMD ["/bailiwick", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/bailiwick"]
# A new container has no policy yet and answers no to everything until one is
# loaded; without the flag it would refuse to start.
CMD ["serve", "--allow-empty"]
