# The control plane: watch, reconcile, alerts, exporter. It runs no model and holds no torch.
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY constraints.txt deploy/images/control.txt ./
RUN python -m venv /opt/latentwatch \
    && /opt/latentwatch/bin/pip install --no-cache-dir -c constraints.txt -r control.txt
COPY . .
RUN /opt/latentwatch/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim-bookworm
# As process 1 it passes signals on, which the kernel keeps from one that has no handler for them.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini=0.19.* \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin latentwatch \
    && install -d -o latentwatch -g latentwatch /var/lib/latentwatch
COPY --from=build /opt/latentwatch /opt/latentwatch
ENV PATH=/opt/latentwatch/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    LATENTWATCH_DATA_DIR=/var/lib/latentwatch MPLCONFIGDIR=/tmp/matplotlib
USER 10001:10001
WORKDIR /etc/latentwatch
ENTRYPOINT ["tini", "--", "latentwatch"]
CMD ["--help"]
