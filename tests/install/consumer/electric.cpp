#include "tidegate/electric/shape_server.h"
#include "tidegate/electric/shape_sink.h"
#include "tidegate/http/client.h"

using namespace tidegate;

int main() {
  const TableSchema items{
      .table = "items", .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false}}, .primaryKey = {"id"}};
  Gateway gateway;
  electric::ShapeServer shapes(electric::gatewayFeed(gateway, {.tables = {items}}));
  http::Server server({}, shapes.handler());
  server.start();
  http::Client client;
  const auto answer = client.perform({.url = server.url() + "/v1/shape?table=items&offset=-1&where=id%3D1"});
  return answer.status == 200 && answer.body == "[]" ? 0 : 1;
}
