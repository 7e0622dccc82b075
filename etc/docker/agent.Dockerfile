# The agent and the operator's tool. How to run it is in docs/AGENT.md.
#
#   docker build --file etc/docker/agent.Dockerfile --tag bsp-agent --build-arg COMMIT=$(git rev-parse HEAD) .

FROM rust:1.95.0-bookworm AS build
# The image's own toolchain, without what rust-toolchain.toml adds for working on the code.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /source
COPY . .
# For `--version`: the repository's history is not copied.
ARG COMMIT=
ENV BSP_COMMIT=$COMMIT
RUN cargo build --release --locked --package bsp-agent-bin --package bsp --bins

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/bsp-agent --create-home bsp-agent
COPY --from=build /source/target/release/bsp-agent /source/target/release/bsp /usr/local/bin/
USER bsp-agent
WORKDIR /var/lib/bsp-agent
# Journal, segments, pins and logs, in bsp-agent-data/ and logs/.
VOLUME /var/lib/bsp-agent
EXPOSE 6061
ENTRYPOINT ["bsp-agent"]
