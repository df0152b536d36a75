# Alone, with SQLite on a volume:
#
#   docker build --tag gatelodge .
#   docker run --publish 127.0.0.1:8080:8080 --volume gatelodge:/var/lib/gatelodge gatelodge
#
# With PostgreSQL, Redis and a load balancer: docker-compose.yml.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches keep what was compiled for the next build; they are no part of an
# image, so the program is taken out of them here.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --bin gatelodge \
    && mkdir -p /out/empty \
    && cp target/release/gatelodge /out/

# The C library of the Debian that built it, root certificates, and no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/gatelodge /usr/local/bin/gatelodge
# A new volume takes over the owner of the folder it is mounted on.
COPY --from=build --chown=65532:65532 /out/empty /var/lib/gatelodge
COPY --from=build --chown=65532:65532 /out/empty /run/gatelodge/keys
USER 65532:65532
WORKDIR /var/lib/gatelodge
ENV GATELODGE_SERVER__BIND=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s \
    CMD ["/usr/local/bin/gatelodge", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/gatelodge"]
