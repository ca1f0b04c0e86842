// A receiver of webhooks over TLS that takes everything: a real HTTPS server on a free port, as small as tests need it.
#pragma once

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "glog/logging.h"
#include "tests/support/test_certificates.h"

namespace tranche {

// Asks for a certificate of `clients`, and serves one connection after the other, with one request each. Thread-safe.
class HttpsReceiver {
 public:
  HttpsReceiver(const testing::IssuedCertificate& own, const std::string& clients)
      : clients_(clients), listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    std::signal(SIGPIPE, SIG_IGN);  // of callers who do not like our certificate
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    CHECK_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    CHECK_EQ(listen(listener_, 16), 0);
    CHECK_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    Show(own);
    thread_ = std::thread([this] { Accept(); });
  }
  ~HttpsReceiver() {
    shutdown(listener_, SHUT_RDWR);  // ends accept()
    thread_.join();
    close(listener_);
  }
  HttpsReceiver(const HttpsReceiver&) = delete;
  HttpsReceiver& operator=(const HttpsReceiver&) = delete;

  std::string url() const { return absl::StrCat("https://127.0.0.1:", port_, "/hook"); }

  // From the next connection on.
  void Show(const testing::IssuedCertificate& own) {
    std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
    const std::unique_ptr<X509, void (*)(X509*)> certificate(ReadCertificate(own.certificate_pem), X509_free);
    const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new_mem_buf(own.key_pem.data(), -1), BIO_free);
    const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
        PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
    CHECK_EQ(SSL_CTX_use_certificate(context.get(), certificate.get()), 1);
    CHECK_EQ(SSL_CTX_use_PrivateKey(context.get(), key.get()), 1);
    TrustClients(context.get());
    absl::MutexLock lock(&mutex_);
    context_ = std::move(context);
  }

  // Requests that were answered, and the common name of the last one's certificate.
  int answered() const {
    absl::MutexLock lock(&mutex_);
    return answered_;
  }
  std::string last_caller() const {
    absl::MutexLock lock(&mutex_);
    return last_caller_;
  }

 private:
  static X509* ReadCertificate(const std::string& pem) {
    const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new_mem_buf(pem.data(), -1), BIO_free);
    return PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr);
  }

  void TrustClients(SSL_CTX* context) const {
    const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new_mem_buf(clients_.data(), -1), BIO_free);
    while (X509* const authority = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
      CHECK_EQ(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority), 1);
      X509_free(authority);
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }

  void Accept() {
    while (true) {
      const int caller = accept(listener_, nullptr, nullptr);
      if (caller < 0) return;
      std::shared_ptr<SSL_CTX> context;
      {
        absl::MutexLock lock(&mutex_);
        context = context_;
      }
      const std::unique_ptr<SSL, void (*)(SSL*)> ssl(SSL_new(context.get()), SSL_free);
      SSL_set_fd(ssl.get(), caller);
      if (SSL_accept(ssl.get()) == 1) Serve(ssl.get());
      close(caller);
    }
  }

  void Serve(SSL* ssl) {
    if (!ReadRequest(ssl)) return;
    const std::unique_ptr<X509, void (*)(X509*)> caller(SSL_get1_peer_certificate(ssl), X509_free);
    char name[256] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(caller.get()), NID_commonName, name, sizeof(name));
    {
      absl::MutexLock lock(&mutex_);
      ++answered_;
      last_caller_ = name;
    }
    constexpr char kAnswer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    SSL_write(ssl, kAnswer, sizeof(kAnswer) - 1);
    SSL_shutdown(ssl);
  }

  // With its body. False: the caller has gone.
  static bool ReadRequest(SSL* ssl) {
    constexpr char kLength[] = "Content-Length: ";
    std::string request;
    char piece[4096];
    while (true) {
      const int got = SSL_read(ssl, piece, sizeof(piece));
      if (got <= 0) return false;
      request.append(piece, static_cast<size_t>(got));
      const size_t end = request.find("\r\n\r\n");
      const size_t length = request.find(kLength);
      if (end == std::string::npos || length == std::string::npos) continue;
      size_t bytes = 0;
      const size_t digits = length + sizeof(kLength) - 1;
      CHECK(absl::SimpleAtoi(request.substr(digits, request.find('\r', digits) - digits), &bytes));
      if (request.size() >= end + 4 + bytes) return true;
    }
  }

  const std::string clients_;
  const int listener_;
  int port_ = 0;
  mutable absl::Mutex mutex_;
  std::shared_ptr<SSL_CTX> context_ ABSL_GUARDED_BY(mutex_);
  int answered_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string last_caller_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace tranche
