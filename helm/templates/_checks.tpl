{{/* What the schema cannot say: values that contradict each other, each refused with a sentence. */}}
{{- define "stack.checks" -}}
{{- $v := .Values -}}
{{- $sqlite := eq $v.database.kind "sqlite" -}}
{{- if and (eq $v.database.kind "external") (not $v.database.external.host) -}}
{{- fail "database.external.host is missing: database.kind is external, so say where PostgreSQL is." -}}
{{- end -}}
{{- if and (eq $v.redis.kind "external") (not $v.redis.external.host) -}}
{{- fail "redis.external.host is missing: redis.kind is external, so say where Redis is." -}}
{{- end -}}
{{- if not $v.secrets.existing -}}
{{- if and (eq $v.database.kind "external") (not $v.secrets.databasePassword) -}}
{{- fail "secrets.databasePassword is missing: the password of an external database cannot be generated. Set it, or name a Secret that has it in secrets.existing." -}}
{{- end -}}
{{- if and (eq $v.redis.kind "external") (not $v.secrets.redisPassword) -}}
{{- fail "secrets.redisPassword is missing: the password of an external Redis cannot be generated. Set it, or name a Secret that has it in secrets.existing." -}}
{{- end -}}
{{- else -}}
{{- if or $v.secrets.databasePassword $v.secrets.redisPassword $v.secrets.metricsToken -}}
{{- fail "secrets.existing names a Secret, so the passwords beside it would not be used: leave them empty." -}}
{{- end -}}
{{- end -}}
{{- if $sqlite -}}
{{- if ne (int $v.backend.replicas) 1 -}}
{{- fail "backend.replicas must be 1 with database.kind sqlite: the file belongs to one pod. Choose chart or external for more." -}}
{{- end -}}
{{- if $v.backend.autoscaling.enabled -}}
{{- fail "backend.autoscaling.enabled must be false with database.kind sqlite: the file belongs to one pod." -}}
{{- end -}}
{{- if $v.worker.enabled -}}
{{- fail "worker.enabled must be false with database.kind sqlite: the backend's pod, which has the file, runs the jobs too." -}}
{{- end -}}
{{- else if eq $v.redis.kind "none" -}}
{{- if or (gt (int $v.backend.replicas) 1) $v.backend.autoscaling.enabled -}}
{{- fail "redis.kind must be chart or external with more than one backend: presence, groups and rate limits go through Redis." -}}
{{- end -}}
{{- end -}}
{{- if gt (int $v.backend.autoscaling.min) (int $v.backend.autoscaling.max) -}}
{{- fail "backend.autoscaling.min is greater than backend.autoscaling.max." -}}
{{- end -}}
{{- if and $v.ingress.tls.enabled (not $v.site.https) -}}
{{- fail "site.https must be true with ingress.tls.enabled: cookies are kept to https then." -}}
{{- end -}}
{{- if and $v.ingress.tls.enabled (not $v.ingress.tls.clusterIssuer) (not $v.ingress.tls.secret) -}}
{{- fail "ingress.tls needs clusterIssuer (an issuer of cert-manager) or secret (a Secret with tls.crt and tls.key)." -}}
{{- end -}}
{{- with $v.images.pullSecret -}}
{{- if and .existing .token -}}
{{- fail "images.pullSecret has existing and token: choose one." -}}
{{- end -}}
{{- if and .token (or (not .registry) (not .username)) -}}
{{- fail "images.pullSecret.token needs images.pullSecret.registry and images.pullSecret.username beside it." -}}
{{- end -}}
{{- end -}}
{{- $own := list "HOST" "PORT" "DATABASE_URL" "REDIS_URL" "METRICS_TOKEN" "WORKER" "RENDER_URL" "RENDER_COMMAND" "RENDER_PROCESSES" "TRUSTED_PROXIES" "SECURE_COOKIES" "DRAIN_TIMEOUT" "WORKER_DRAIN" "LOG_FORMAT" "PROXY_DOCS" "DEVELOPMENT" -}}
{{- range $name, $value := $v.settings -}}
{{- if has $name $own -}}
{{- fail (printf "settings.%s is set by the chart from other values; see production-values.example.yaml." $name) -}}
{{- end -}}
{{- if regexMatch "PASSWORD$|TOKEN$|SECRET$|^TASKS_URL$" $name -}}
{{- fail (printf "settings.%s is a secret and would be readable in the Deployment: put it into a Secret and name that in settingsSecret." $name) -}}
{{- end -}}
{{- if and (hasPrefix "/files/" (toString $value)) (not $v.settingsFiles) -}}
{{- fail (printf "settings.%s names a file below /files, where settingsFiles puts the entries of a Secret: name that Secret." $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
