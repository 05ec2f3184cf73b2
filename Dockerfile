# The image of the jobs. Nothing is run to build it: the binary is static and made elsewhere (`make image`), so one build
# serves every architecture and the same input gives the same digest.
#
# There is no ENTRYPOINT, and there must not be: runners start `sh` in the image, and with an entrypoint the program would be
# handed the words `sh -c …` instead of the script being run.
FROM busybox:1.37-musl@sha256:5cec3fc171c87218698e85a52af7087de727372aae264a787b8112901a5b0092

ARG TARGETOS=linux
ARG TARGETARCH=amd64

# A line for the user, or HOME would be the root directory, where it can't write.
COPY --chmod=0644 packaging/passwd packaging/group /etc/
COPY --chmod=0644 dist/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --chmod=0755 dist/${TARGETOS}/${TARGETARCH}/keyturn /usr/local/bin/keyturn

ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
# A number: Kubernetes can't tell of a name that it isn't root.
USER 65532:65532
CMD ["/usr/local/bin/keyturn", "--help"]
