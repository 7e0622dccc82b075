# The node: reth with the block specimen producer built in. How to run it is in docs/NODE.md.
#
#   docker build --file etc/docker/node.Dockerfile --tag bsp-reth --build-arg COMMIT=$(git rev-parse HEAD) .

FROM rust:1.95.0-bookworm AS build
# The image's own toolchain, without what rust-toolchain.toml adds for working on the code.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN apt-get update && apt-get install --yes --no-install-recommends libclang-dev
WORKDIR /source
COPY . .
# For `--version`: the repository's history is not copied.
ARG COMMIT=
ENV BSP_COMMIT=$COMMIT
# Reads reth's repository from GitHub, at the commit of the lock file.
RUN cd bin/bsp-reth && cargo build --release --locked --bin bsp-reth

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /source/bin/bsp-reth/target/release/bsp-reth /usr/local/bin/
# Peers, metrics, HTTP, WebSocket and the consensus client: the ports of reth's own image.
EXPOSE 30303 30303/udp 9001 8545 8546 8551
ENTRYPOINT ["bsp-reth"]
