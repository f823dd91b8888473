// kubelet answers what an API server asks of a node: logs, exec and port-forward of the pods that the emulator runs as local processes.
// Nodes and all other pods are kwok's. What a pod is, is read at each request from <pods>/<namespace>_<name>.json, which the emulator writes.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	remotecommandconsts "k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/apiserver/pkg/util/flushwriter"
	"k8s.io/client-go/tools/remotecommand"
	cri "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-client/pkg/logs"
	"k8s.io/klog/v2"
	"k8s.io/kubelet/pkg/cri/streaming/portforward"
	streaming "k8s.io/kubelet/pkg/cri/streaming/remotecommand"
	corev1 "k8s.io/kubernetes/pkg/apis/core/v1"
	utilexec "k8s.io/utils/exec"
)

// The only client: what the API server's certificate is called.
const apiServer = "kube-apiserver-kubelet-client"

// Pod is a pod that runs as local processes.
type Pod struct {
	UID        string               `json:"uid"`
	Address    string               `json:"address"` // loopback address that its ports are on
	Containers map[string]Container `json:"containers"`
}

// Container is one process of a pod, running or ended.
type Container struct {
	Log      string            `json:"log"`      // in the container runtimes' format
	Previous string            `json:"previous"` // of the process before this one; "" without
	PID      int               `json:"pid"`      // 0 once it has ended
	Dir      string            `json:"dir"`
	Paths    map[string]string `json:"paths"` // path in the container -> where it is on this machine
}

type server struct{ pods string }

// find is nil for a pod that is not run here, or whose container has not been started.
func (s *server) find(namespace, name, container string) (*Pod, *Container) {
	content, err := os.ReadFile(filepath.Join(s.pods, filepath.Base(namespace)+"_"+filepath.Base(name)+".json"))
	if err != nil {
		return nil, nil
	}
	pod := &Pod{}
	if err := json.Unmarshal(content, pod); err != nil {
		return nil, nil
	}
	if found, ok := pod.Containers[container]; ok {
		return pod, &found
	}
	return pod, nil
}

func (s *server) containerLogs(w http.ResponseWriter, r *http.Request) {
	options := &v1.PodLogOptions{}
	query := r.URL.Query()
	if err := corev1.Convert_url_Values_To_v1_PodLogOptions(&query, options, nil); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, container := s.find(r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container"))
	if container == nil { // kwok's pods have said nothing
		return
	}
	path := container.Log
	if options.Previous {
		path = container.Previous
	}
	if path == "" {
		http.Error(w, fmt.Sprintf("previous terminated container %q in pod %q not found", r.PathValue("container"), r.PathValue("pod")), http.StatusBadRequest)
		return
	}
	out := flushwriter.Wrap(w)
	logger := klog.Background()
	running := runtime{server: s, namespace: r.PathValue("namespace"), pod: r.PathValue("pod")}
	if err := logs.ReadLogs(r.Context(), &logger, path, r.PathValue("container"), logs.NewLogOptions(options, time.Now()), running, out, out); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// runtime tells ReadLogs whether to go on following; it asks nothing else.
type runtime struct {
	cri.RuntimeService
	server         *server
	namespace, pod string
}

func (r runtime) ContainerStatus(_ context.Context, container string, _ bool) (*runtimeapi.ContainerStatusResponse, error) {
	state := runtimeapi.ContainerState_CONTAINER_EXITED
	if _, found := r.server.find(r.namespace, r.pod, container); found != nil && found.PID != 0 {
		state = runtimeapi.ContainerState_CONTAINER_RUNNING
	}
	return &runtimeapi.ContainerStatusResponse{Status: &runtimeapi.ContainerStatus{State: state}}, nil
}

func (s *server) exec(w http.ResponseWriter, r *http.Request) {
	options, err := streaming.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name := r.PathValue("namespace") + "/" + r.PathValue("pod")
	streaming.ServeExec(w, r, s, name, types.UID(r.PathValue("uid")), r.PathValue("container"), r.URL.Query()["command"], options,
		time.Hour, remotecommandconsts.DefaultStreamCreationTimeout, remotecommandconsts.SupportedStreamingProtocols)
}

// ExecInContainer runs a command on this machine as the container's process runs: its environment, its folder, its files. There is no terminal.
func (s *server) ExecInContainer(ctx context.Context, name string, _ types.UID, containerName string, command []string, in io.Reader, out, errOut io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	namespace, pod, _ := strings.Cut(name, "/")
	_, container := s.find(namespace, pod, containerName)
	if container == nil || container.PID == 0 {
		return fmt.Errorf("container %q of pod %q is not run by the emulator", containerName, pod)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	words := make([]string, len(command))
	for i, word := range command {
		words[i] = localise(word, container.Paths)
	}
	process := exec.CommandContext(ctx, words[0], words[1:]...)
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", container.PID)) // so that it need not be kept on disk
	if err != nil {
		return err
	}
	process.Env = strings.Split(strings.TrimRight(string(environment), "\x00"), "\x00")
	process.Dir, process.WaitDelay = container.Dir, time.Second
	process.Stdout, process.Stderr = out, out
	if errOut != nil {
		process.Stderr = errOut
	}
	if in != nil { // Not process.Stdin: Wait would wait for the client to close its side
		stdin, err := process.StdinPipe()
		if err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(stdin, in)
			_ = stdin.Close()
		}()
	}
	err = process.Run()
	if exit, ok := err.(*exec.ExitError); ok {
		return &utilexec.ExitErrorWrapper{ExitError: exit}
	}
	return err
}

func localise(word string, paths map[string]string) string {
	longest := ""
	for path := range paths {
		if (word == path || strings.HasPrefix(word, path+"/")) && len(path) > len(longest) {
			longest = path
		}
	}
	return paths[longest] + word[len(longest):]
}

func (s *server) portForward(w http.ResponseWriter, r *http.Request) {
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name := r.PathValue("namespace") + "/" + r.PathValue("pod")
	portforward.ServePortForward(w, r, s, name, types.UID(r.PathValue("uid")), options,
		time.Hour, remotecommandconsts.DefaultStreamCreationTimeout, portforward.SupportedProtocols)
}

// PortForward connects a stream with a port of the pod's own loopback address.
func (s *server) PortForward(_ context.Context, name string, _ types.UID, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	namespace, podName, _ := strings.Cut(name, "/")
	pod, _ := s.find(namespace, podName, "")
	if pod == nil {
		return fmt.Errorf("pod %q is not run by the emulator: nothing listens there", podName)
	}
	connection, err := net.Dial("tcp", net.JoinHostPort(pod.Address, strconv.Itoa(int(port))))
	if err != nil {
		return fmt.Errorf("failed to connect to port %d of pod %q: %w", port, podName, err)
	}
	defer connection.Close()
	go func() {
		_, _ = io.Copy(connection, stream)
		_ = connection.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(stream, connection)
	return err
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", s.containerLogs)
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", s.exec)
	mux.HandleFunc("/exec/{namespace}/{pod}/{uid}/{container}", s.exec)
	mux.HandleFunc("/portForward/{namespace}/{pod}", s.portForward)
	mux.HandleFunc("/portForward/{namespace}/{pod}/{uid}", s.portForward)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.PeerCertificates[0].Subject.CommonName != apiServer {
			http.Error(w, "Forbidden", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func main() {
	address := flag.String("address", "", "address and port to listen on")
	certificate := flag.String("tls-cert-file", "", "this server's certificate")
	key := flag.String("tls-private-key-file", "", "its key")
	authority := flag.String("client-ca-file", "", "certificate of the authority that signed the API server's client certificate")
	pods := flag.String("pods", "", "folder of the pods' descriptions")
	flag.Parse()
	pem, err := os.ReadFile(*authority)
	if err != nil {
		log.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(pem)
	listener := &http.Server{
		Addr:              *address,
		Handler:           (&server{pods: *pods}).handler(),
		ReadHeaderTimeout: 10 * time.Second,
		// SPDY is upgraded from HTTP/1.1.
		TLSConfig: &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}},
	}
	log.Fatal(listener.ListenAndServeTLS(*certificate, *key))
}
