// The client that uses github.com/gomodule/oauth1. Reads one JSON document, prints one JSON line a step.
package main

import (
	"encoding/json"
	"io/ioutil"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/gomodule/oauth1/oauth"
)

type task struct {
	BaseURL         string `json:"base_url"`
	RequestTokenURL string `json:"request_token_url"`
	AccessTokenURL  string `json:"access_token_url"`
	ConsumerKey     string `json:"consumer_key"`
	ConsumerSecret  string `json:"consumer_secret"`
	Verifier        string `json:"verifier"`
	Steps           []step `json:"steps"`
}

type step struct {
	Name   string      `json:"name"`
	Method string      `json:"method"`
	Path   string      `json:"path"`
	Query  [][2]string `json:"query"`
	Form   [][2]string `json:"form"`
	JSON   string      `json:"json"`
}

type line struct {
	Step   string `json:"step"`
	Status int    `json:"status"`
	Body   string `json:"body"`
}

func main() {
	var todo task
	must(json.NewDecoder(os.Stdin).Decode(&todo))
	client := oauth.Client{
		Credentials:                   oauth.Credentials{Token: todo.ConsumerKey, Secret: todo.ConsumerSecret},
		TemporaryCredentialRequestURI: todo.RequestTokenURL,
		TokenRequestURI:               todo.AccessTokenURL,
		SignatureMethod:               oauth.HMACSHA1,
	}
	temporary, err := client.RequestTemporaryCredentials(http.DefaultClient, "oob", nil)
	must(err)
	report(line{Step: "request token", Status: 200})
	token, _, err := client.RequestToken(http.DefaultClient, temporary, todo.Verifier)
	must(err)
	report(line{Step: "access token", Status: 200})
	for _, one := range todo.Steps {
		response, err := call(&client, token, todo.BaseURL, one)
		must(err)
		body, err := ioutil.ReadAll(response.Body)
		must(err)
		response.Body.Close()
		report(line{Step: one.Name, Status: response.StatusCode, Body: string(body)})
	}
}

// call lets the library send what it can; a JSON body it can only sign.
func call(client *oauth.Client, token *oauth.Credentials, base string, one step) (*http.Response, error) {
	target := base + one.Path
	switch {
	case one.JSON != "":
		request, err := http.NewRequest(one.Method, target, strings.NewReader(one.JSON))
		must(err)
		request.Header.Set("Content-Type", "application/json")
		must(client.SetAuthorizationHeader(request.Header, token, one.Method, request.URL, nil))
		return http.DefaultClient.Do(request)
	case one.Method == http.MethodGet:
		return client.Get(http.DefaultClient, token, target, values(one.Query))
	case one.Method == http.MethodDelete:
		return client.Delete(http.DefaultClient, token, target, nil)
	default:
		return client.Post(http.DefaultClient, token, target, values(one.Form))
	}
}

func values(pairs [][2]string) url.Values {
	all := url.Values{}
	for _, pair := range pairs {
		all.Add(pair[0], pair[1])
	}
	return all
}

func report(what line) {
	must(json.NewEncoder(os.Stdout).Encode(what))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
