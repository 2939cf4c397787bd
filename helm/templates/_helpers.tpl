{{/* Names, labels and the pieces that several workloads share. Each takes the root context, or a dict where its comment says so. */}}

{{- define "stack.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Of (dict "root" $ "part" "backend"). */}}
{{- define "stack.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "stack.labels" -}}
{{ include "stack.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: {{ .root.Chart.Name }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* name, namespace and labels of a thing; (dict "root" $ "part" "backend"), and "name" where it is not <release>-<part>. */}}
{{- define "stack.meta" -}}
name: {{ .name | default (printf "%s-%s" (include "stack.name" .root) .part) }}
namespace: {{ .root.Release.Namespace }}
labels: {{- include "stack.labels" . | nindent 2 }}
{{- end -}}

{{- define "stack.development" -}}
{{- if eq .Values.mode "development" }}true{{ end -}}
{{- end -}}

{{/* (dict "root" $ "image" "backend"); developers have their own of backend and frontend. */}}
{{- define "stack.image" -}}
{{- $i := .root.Values.images -}}
{{- $dev := and (include "stack.development" .root) (has .image (list "backend" "frontend")) -}}
{{- get $i .image | default (printf "%s/%s/tims-stack-%s%s:%s" $i.registry $i.owner .image (ternary "-dev" "" (not (empty $dev))) $i.tag) -}}
{{- end -}}

{{- define "stack.secret" -}}
{{- .Values.secrets.existing | default (printf "%s-secrets" (include "stack.name" .)) -}}
{{- end -}}

{{- define "stack.pullSecret" -}}
{{- $p := .Values.images.pullSecret -}}
{{- if $p.existing }}{{ $p.existing }}{{ else if $p.token }}{{ include "stack.name" . }}-registry{{ end -}}
{{- end -}}

{{/* The head of a pod's spec; (dict "root" $ "uid" 10001 "part" "worker" "values" .Values.worker). */}}
{{- define "stack.pod" -}}
serviceAccountName: {{ include "stack.name" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .uid }}
  runAsGroup: {{ .uid }}
  fsGroup: {{ .uid }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with include "stack.pullSecret" .root }}
imagePullSecrets:
  - name: {{ . }}
{{- end }}
{{- with .values }}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- if .spread }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "stack.selector" . | nindent 8 }}
{{- end }}
{{- end -}}

{{/* A developer's containers build into their root; all others only write to volumes. (dict "writes" true) */}}
{{- define "stack.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: {{ not .writes }}
  capabilities: { drop: [ALL] }
{{- end -}}

{{- define "stack.databaseHost" -}}
{{- if eq .Values.database.kind "external" }}{{ .Values.database.external.host }}{{ else }}{{ include "stack.name" . }}-postgres{{ end -}}
{{- end -}}

{{- define "stack.databasePort" -}}
{{- if eq .Values.database.kind "external" }}{{ .Values.database.external.port }}{{ else }}5432{{ end -}}
{{- end -}}

{{/* Without the password, which libpq takes from PGPASSWORD: it needs no escaping and stands in no URL. */}}
{{- define "stack.databaseUrl" -}}
{{- $d := .Values.database -}}
{{- if eq $d.kind "sqlite" -}}
sqlite:/data/app.sqlite3
{{- else -}}
{{- $parameters := printf "connections=%d" (int $d.connections) -}}
{{- if and (eq $d.kind "external") $d.external.parameters -}}
{{- $parameters = printf "%s&%s" $parameters $d.external.parameters -}}
{{- end -}}
{{- printf "postgres://%s@%s:%s/%s?%s" (urlquery $d.user) (include "stack.databaseHost" .) (include "stack.databasePort" .) (urlquery $d.name) $parameters -}}
{{- end -}}
{{- end -}}

{{- define "stack.redisUrl" -}}
{{- $r := .Values.redis -}}
{{- if eq $r.kind "external" -}}
{{- printf "redis://%s:$(REDIS_PASSWORD)@%s:%d/%d" (urlquery $r.external.user) $r.external.host (int $r.external.port) (int $r.external.database) -}}
{{- else -}}
{{- printf "redis://:$(REDIS_PASSWORD)@%s-redis:6379/0" (include "stack.name" .) -}}
{{- end -}}
{{- end -}}

{{/* One variable from the release's secret; (dict "root" $ "name" "PGPASSWORD" "key" "database-password"). */}}
{{- define "stack.secretEnv" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef: { name: {{ include "stack.secret" .root }}, key: {{ .key }} }
{{- end -}}

{{/* What the program needs to reach its data, whatever its command. */}}
{{- define "stack.dataEnv" -}}
- name: DATABASE_URL
  value: {{ include "stack.databaseUrl" . | quote }}
{{- if ne .Values.database.kind "sqlite" }}
{{ include "stack.secretEnv" (dict "root" . "name" "PGPASSWORD" "key" "database-password") }}
{{- end }}
{{- if ne .Values.redis.kind "none" }}
{{ include "stack.secretEnv" (dict "root" . "name" "REDIS_PASSWORD" "key" "redis-password") }}
- name: REDIS_URL
  value: {{ include "stack.redisUrl" . | quote }}
{{- end }}
{{- end -}}

{{/* All of it, and the settings of values; (dict "root" $ "own" (dict "WORKER" "false")). Own ones are the workload's. */}}
{{- define "stack.env" -}}
{{- include "stack.dataEnv" .root }}
{{ include "stack.secretEnv" (dict "root" .root "name" "METRICS_TOKEN" "key" "metrics-token") }}
{{- $mode := dict }}
{{- if include "stack.development" .root }}{{ $_ := set $mode "DEVELOPMENT" true }}{{ end }}
{{- range $name, $value := merge $mode .own .root.Values.settings }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{- define "stack.envFrom" -}}
{{- with .Values.settingsSecret }}
envFrom:
  - secretRef: { name: {{ . }} }
{{- end }}
{{- end -}}

{{/* Where the program may write, files that settings name, and a developer's back/; of the backend's and the worker's pods. */}}
{{- define "stack.backendVolumes" -}}
- name: tmp
  emptyDir: {}
{{- if eq .Values.database.kind "sqlite" }}
- name: data
  persistentVolumeClaim: { claimName: {{ include "stack.name" . }}-data }
{{- else }}
- name: data
  emptyDir: {}
{{- end }}
{{- with .Values.settingsFiles }}
- name: files
  secret: { secretName: {{ . }}, defaultMode: 288 } # 0440
{{- end }}
{{- if include "stack.development" . }}
- name: source
  hostPath: { path: {{ .Values.development.source }}/back, type: Directory }
{{- end }}
{{- end -}}

{{- define "stack.backendMounts" -}}
- { name: tmp, mountPath: /tmp }
- { name: data, mountPath: /data }
{{- if .Values.settingsFiles }}
- { name: files, mountPath: /files, readOnly: true }
{{- end }}
{{- if include "stack.development" . }}
- { name: source, mountPath: /app/back }
{{- end }}
{{- end -}}

{{/* The container that migrates; (dict "root" $ "resources" .Values.worker.resources). Many may run it at once, one does the
     work. On an install the database starts along with it, which takes longer than the kubelet's patience with failures. */}}
{{- define "stack.migrate" -}}
- name: migrate
  image: {{ include "stack.image" (dict "root" .root "image" "backend") }}
  imagePullPolicy: {{ .root.Values.images.pullPolicy }}
  args: [migrate, --wait, {{ .root.Values.migrations.timeoutSeconds | quote }}]
  env: {{- include "stack.dataEnv" .root | nindent 4 }}
  {{- with include "stack.envFrom" .root }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- include "stack.container" (dict "writes" (include "stack.development" .root)) | nindent 2 }}
  resources: {{- toYaml .resources | nindent 4 }}
  volumeMounts: {{- include "stack.backendMounts" .root | nindent 4 }}
{{- end -}}

{{- define "stack.backendUid" -}}
{{- if include "stack.development" . }}{{ .Values.development.uid }}{{ else }}10001{{ end -}}
{{- end -}}

{{- define "stack.frontendUid" -}}
{{- if include "stack.development" . }}{{ .Values.development.uid }}{{ else }}1000{{ end -}}
{{- end -}}

{{/* By the cluster's version, which `helm template --kube-version` can name too, unlike the kinds that its groups have. */}}
{{- define "stack.batchApi" -}}
{{- if semverCompare ">=1.21-0" .Capabilities.KubeVersion.Version }}batch/v1{{ else }}batch/v1beta1{{ end -}}
{{- end -}}

{{- define "stack.policyApi" -}}
{{- if semverCompare ">=1.21-0" .Capabilities.KubeVersion.Version }}policy/v1{{ else }}policy/v1beta1{{ end -}}
{{- end -}}

{{- define "stack.autoscalingApi" -}}
{{- if semverCompare ">=1.23-0" .Capabilities.KubeVersion.Version }}autoscaling/v2{{ else }}autoscaling/v2beta2{{ end -}}
{{- end -}}
