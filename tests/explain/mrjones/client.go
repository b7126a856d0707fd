// github.com/mrjones/oauth, each time misused as the case says. usage: client CASE < task.json
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"

	"github.com/mrjones/oauth"
)

type task struct {
	URL            string `json:"url"`
	ConsumerKey    string `json:"consumer_key"`
	ConsumerSecret string `json:"consumer_secret"`
	Token          string `json:"token"`
	TokenSecret    string `json:"token_secret"`
}

func main() {
	var todo task
	must(json.NewDecoder(os.Stdin).Decode(&todo))
	paths := map[string]string{
		"right":        "/rest/V1/products?page=2",
		"decoded path": "/rest/V1/products/a%20b",
		"raw names":    "/rest/V1/products?a%5Bb%5D=x%20y",
	}
	consumer := oauth.NewConsumer(todo.ConsumerKey, todo.ConsumerSecret, oauth.ServiceProvider{})
	client, err := consumer.MakeHttpClient(&oauth.AccessToken{Token: todo.Token, Secret: todo.TokenSecret})
	must(err)
	request, err := http.NewRequest(http.MethodGet, todo.URL+paths[os.Args[1]], nil)
	must(err)
	response, err := client.Do(request)
	must(err)
	response.Body.Close()
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
