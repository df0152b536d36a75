# Alone, with SQLite on a volume:
#
#   docker build --tag gatelodge:0.1.0 .
#   docker run --publish 127.0.0.1:8080:8080 --volume gatelodge:/var/lib/gatelodge \
#     --read-only --cap-drop ALL --security-opt no-new-privileges gatelodge:0.1.0
#
# With PostgreSQL, Redis and a load balancer: docker-compose.yml. The rest:
# docs/packaging.md.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches keep what was compiled for the next build; they are no part of an
# image, so the program is taken out of them here.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --locked --release --bin gatelodge \
    && mkdir -p /out/empty \
    && cp target/release/gatelodge /out/

# The C library of the Debian that built it, and no shell. Certificates of public
# authorities are in the program itself.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="Gatelodge" \
      org.opencontainers.image.description="Server-side session authentication: sessions you can revoke, as fast as a JWT" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="gcr.io/distroless/cc-debian12:nonroot"
COPY --from=build /out/gatelodge /usr/local/bin/gatelodge
# A new volume takes over the owner of the folder it is mounted on.
COPY --from=build --chown=65532:65532 /out/empty /var/lib/gatelodge
COPY --from=build --chown=65532:65532 /out/empty /run/gatelodge/keys
USER 65532:65532
WORKDIR /var/lib/gatelodge
ENV GATELODGE_SERVER__BIND=0.0.0.0:8080
EXPOSE 8080
# The program is all that runs, hears signals as process 1, and starts no other:
# there is nothing for an init to do.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s \
    CMD ["/usr/local/bin/gatelodge", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/gatelodge"]
