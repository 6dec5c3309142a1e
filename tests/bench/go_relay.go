// SPDX-FileCopyrightText: The OneHop authors
// SPDX-License-Identifier: GPL-3.0-or-later

// A router as one writes it with Go's standard library, and as LLMhop 2.2.1 is written: net/http, a
// reverse proxy over the default transport, the body read whole to find its model. A double of such
// routers, for comparison.
//
// go_relay PORT BACKEND_PORT KEY LOGGED
package main

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"time"
)

const maxBody = 100 << 20

func main() {
	port, backend, key, logged := os.Args[1], os.Args[2], os.Args[3], os.Args[4] == "1"
	target, err := url.Parse("http://127.0.0.1:" + backend)
	if err != nil {
		log.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(request *httputil.ProxyRequest) {
		request.SetURL(target)
		request.SetXForwarded()
	}}
	models := map[string]http.Handler{"bench": proxy}
	relay := func(answer http.ResponseWriter, request *http.Request) {
		scheme, token, _ := strings.Cut(request.Header.Get("Authorization"), " ")
		known := subtle.ConstantTimeCompare([]byte(token), []byte(key)) == 1
		if !known || !strings.EqualFold(scheme, "Bearer") {
			http.Error(answer, "unauthorized", http.StatusUnauthorized)
			return
		}
		request.Header.Del("Authorization")
		body, err := io.ReadAll(http.MaxBytesReader(answer, request.Body, maxBody))
		if err != nil {
			http.Error(answer, "failed to read request body", http.StatusBadRequest)
			return
		}
		var named struct {
			Model string `json:"model"`
		}
		if json.Unmarshal(body, &named) != nil || models[named.Model] == nil {
			http.Error(answer, "unknown model", http.StatusNotFound)
			return
		}
		request.Body = io.NopCloser(bytes.NewReader(body))
		request.ContentLength = int64(len(body))
		start := time.Now()
		models[named.Model].ServeHTTP(answer, request)
		if logged {
			log.Printf("%s %s %s %s", request.RemoteAddr, request.Method, request.URL.Path, time.Since(start))
		}
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, http.HandlerFunc(relay)))
}
