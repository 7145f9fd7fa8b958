# A worker that compares. TORCH_INDEX chooses the build: the index of the CPU wheels, or that of a CUDA
# version that the driver of your GPUs can run.
ARG BASE=python:3.13-slim-bookworm
FROM ${BASE} AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /src
COPY constraints.txt ./
RUN python -m venv /opt/latentwatch \
    && /opt/latentwatch/bin/pip install --no-cache-dir --index-url "${TORCH_INDEX}" torch==2.13.0
COPY . .
RUN /opt/latentwatch/bin/pip install --no-cache-dir -c constraints.txt '.[s3,mlflow,traces]'

FROM ${BASE}
# As process 1 it reaps what the comparing processes leave behind, which the worker does not.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini=0.19.* \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin latentwatch \
    && install -d -o latentwatch -g latentwatch /var/lib/latentwatch
COPY --from=build /opt/latentwatch /opt/latentwatch
ENV PATH=/opt/latentwatch/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    LATENTWATCH_DATA_DIR=/var/lib/latentwatch MPLCONFIGDIR=/tmp/matplotlib HF_HUB_OFFLINE=1
USER 10001:10001
WORKDIR /etc/latentwatch
ENTRYPOINT ["tini", "--", "latentwatch"]
CMD ["worker"]
