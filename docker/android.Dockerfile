# What Gradle needs to build front/android: a JDK and Android's SDK. The project is mounted (tools/deploy), so this image
# holds nothing of the app and is built again only when a version changes.
ARG BASE=eclipse-temurin:21-jdk-noble
FROM ${BASE}
ARG PLATFORM=36
ARG BUILD_TOOLS=36.0.0
ENV ANDROID_HOME=/opt/android-sdk
RUN apt-get update \
    && apt-get install --yes --no-install-recommends sdkmanager \
    && rm -rf /var/lib/apt/lists/* \
    && yes | sdkmanager --licenses >/dev/null \
    && sdkmanager "platforms;android-${PLATFORM}" "build-tools;${BUILD_TOOLS}" platform-tools
USER 1000
WORKDIR /app/front/android
CMD ["./gradlew", "--no-daemon", "assembleDebug"]
