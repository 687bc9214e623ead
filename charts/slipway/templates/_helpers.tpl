{{- define "slipway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "slipway.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "slipway.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "slipway.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "slipway.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "slipway.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed where serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{/* Slipway's own user name: only it may change intent annotations. */}}
{{- define "slipway.identity" -}}
{{- printf "system:serviceaccount:%s:%s" .Release.Namespace (include "slipway.serviceAccountName" .) -}}
{{- end }}

{{- define "slipway.certsSecret" -}}
{{- printf "%s-webhook-certs" (include "slipway.fullname" .) -}}
{{- end }}

{{- define "slipway.lease" -}}
{{- printf "%s-reconciler" (include "slipway.fullname" .) -}}
{{- end }}

{{- define "slipway.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
app.kubernetes.io/part-of: {{ include "slipway.name" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "slipway.selector" . }}
{{- end }}

{{- define "slipway.selector" -}}
app.kubernetes.io/name: {{ include "slipway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "slipway.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end }}

{{/* A number of replicas; 0 is a number too, so `default` will not do. */}}
{{- define "slipway.replicas" -}}
{{- if kindIs "invalid" .root.Values.replicaCount -}}
{{- .part.replicaCount -}}
{{- else -}}
{{- .root.Values.replicaCount -}}
{{- end -}}
{{- end }}

{{/* What every pod of the chart has in common; the context is the chart's. */}}
{{- define "slipway.pod" -}}
serviceAccountName: {{ include "slipway.serviceAccountName" . }}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
volumes:
  # In memory: private keys pass through here.
  - name: tmp
    emptyDir:
      medium: Memory
      sizeLimit: 16Mi
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What the container of every program has in common; the context is as for the Deployment. */}}
{{- define "slipway.container" -}}
{{- $root := .root -}}
name: {{ .component }}
image: {{ include "slipway.image" $root | quote }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
args:
  {{- concat .args $root.Values.extraArgs .part.extraArgs | toYaml | nindent 2 }}
env:
  - name: POD_NAMESPACE
    valueFrom:
      fieldRef:
        fieldPath: metadata.namespace
  - name: POD_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  {{- range concat $root.Values.extraEnv .part.extraEnv }}
  - {{- toYaml . | nindent 4 }}
  {{- end }}
resources:
  {{- toYaml .part.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
volumeMounts:
  - name: tmp
    mountPath: /tmp
{{- end }}

{{/* Annotations of an object that is there only before an uninstall; the context is its weight. */}}
{{- define "slipway.beforeUninstall" -}}
helm.sh/hook: pre-delete
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{/*
The Deployment of one program.
root: the chart's context; part: its values; component: its name; args: a list; ports: name -> number.
*/}}
{{- define "slipway.deployment" -}}
{{- $root := .root -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "slipway.fullname" $root }}-{{ .component }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "slipway.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  replicas: {{ include "slipway.replicas" . }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  selector:
    matchLabels:
      {{- include "slipway.selector" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
  template:
    metadata:
      labels:
        {{- with $root.Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- include "slipway.labels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
      {{- with $root.Values.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "slipway.pod" $root | nindent 6 }}
      terminationGracePeriodSeconds: {{ $root.Values.terminationGracePeriodSeconds }}
      containers:
        - {{- include "slipway.container" . | nindent 10 }}
          ports:
            {{- range $name, $port := .ports }}
            - name: {{ $name }}
              containerPort: {{ $port }}
              protocol: TCP
            {{- end }}
          startupProbe:
            httpGet: {path: /healthz, port: metrics}
            periodSeconds: 1
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /healthz, port: metrics}
            periodSeconds: 10
            timeoutSeconds: 5
          readinessProbe:
            httpGet: {path: /readyz, port: metrics}
            periodSeconds: 2
            timeoutSeconds: 2
            failureThreshold: 2
          {{- with $root.Values.preStopSleepSeconds }}
          lifecycle:
            preStop:
              sleep:
                seconds: {{ . }}
          {{- end }}
      {{- with $root.Values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        {{- if $root.Values.topologySpreadConstraints }}
        {{- toYaml $root.Values.topologySpreadConstraints | nindent 8 }}
        {{- else }}
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "slipway.selector" $root | nindent 14 }}
              app.kubernetes.io/component: {{ .component }}
        {{- end }}
{{- end }}

{{/* The NetworkPolicy of one program: root, component, ports that anyone in the cluster may reach,
and whether it reaches pods. */}}
{{- define "slipway.networkPolicy" -}}
{{- $root := .root -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "slipway.fullname" $root }}-{{ .component }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "slipway.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  podSelector:
    matchLabels:
      {{- include "slipway.selector" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
  policyTypes: [Ingress, Egress]
  {{- with .ports }}
  ingress:
    # From anywhere: the API server's address is not known to a selector.
    - ports:
        {{- range . }}
        - {port: {{ . }}, protocol: TCP}
        {{- end }}
  {{- end }}
  egress:
    - ports:
        - {port: 53, protocol: UDP}
        - {port: 53, protocol: TCP}
    - ports:
        {{- range $root.Values.networkPolicy.apiServerPorts }}
        - {port: {{ . }}, protocol: TCP}
        {{- end }}
    {{- if .pods }}
    # Pods in a release, for their counters, at whatever port they have them.
    - to:
        - namespaceSelector: {}
    {{- end }}
    {{- with $root.Values.networkPolicy.extraEgress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "slipway.podDisruptionBudget" -}}
{{- $root := .root -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "slipway.fullname" $root }}-{{ .component }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "slipway.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  maxUnavailable: {{ $root.Values.podDisruptionBudget.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "slipway.selector" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* What every webhook has in common: the namespaces it sees. */}}
{{- define "slipway.namespaceSelector" -}}
{{- $selector := deepCopy .Values.webhook.namespaceSelector -}}
{{- $excluded := concat (list .Release.Namespace "kube-system") .Values.webhook.excludedNamespaces | uniq -}}
{{- $own := dict "key" "kubernetes.io/metadata.name" "operator" "NotIn" "values" $excluded -}}
{{- $_ := set $selector "matchExpressions" (append (default list $selector.matchExpressions) $own) -}}
{{- toYaml $selector -}}
{{- end }}

{{/*
Kinds of routes that show a split themselves. The same stand in webhook/cluster/kinds.py.
*/}}
{{- define "slipway.routes" -}}
- {group: gateway.networking.k8s.io, version: v1, resource: httproutes}
- {group: gateway.networking.k8s.io, version: v1, resource: grpcroutes}
- {group: networking.k8s.io, version: v1, resource: ingresses}
- {group: traefik.io, version: v1alpha1, resource: ingressroutes}
- {group: traefik.io, version: v1alpha1, resource: traefikservices}
- {group: projectcontour.io, version: v1, resource: httpproxies}
- {group: networking.istio.io, version: v1, resource: virtualservices}
- {group: apisix.apache.org, version: v2, resource: apisixroutes}
{{- end }}

{{/*
Kinds of routes of which Slipway makes one beside the user's: only its own carry a split.
*/}}
{{- define "slipway.ownedRoutes" -}}
- {group: getambassador.io, version: v3alpha1, resource: mappings}
{{- end }}
