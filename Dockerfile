# An image in which no command needs the network:
#
#     docker build -t gofau --build-arg COMMIT="$(git rev-parse HEAD)" .
#     docker run --rm --network none gofau
#     docker run --rm --network none -v "$PWD/runs:/gofau/runs" gofau train ARGS="optimizer=adam rule=hybrid"
#
# Apptainer makes its image from it; that one is read-only, so say where the runs go:
#
#     apptainer build gofau.sif docker-daemon:gofau:latest
#     apptainer run gofau.sif -C /gofau train ARGS="paths.runs_dir=$PWD/runs"
#
# It has not been built yet: there was no container runtime to build it with. Its steps were carried
# out one by one, with Python 3.13, without git, and without a network after the installation.
FROM python:3.13-slim

# The C compiler is for fused steps on a CPU, which are compiled when they are first used.
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /gofau
COPY . .
RUN make install

# The records of runs name the commit; there is no git here to ask for it.
ARG COMMIT=""
ENV GOFAU_COMMIT=$COMMIT

ENTRYPOINT ["make"]
CMD ["train"]
