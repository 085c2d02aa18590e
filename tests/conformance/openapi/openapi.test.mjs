// The OpenAPI document of a whole tidegate-server: it is one by the schema of OpenAPI 3.1, its references lead
// somewhere, and every schema in it is one by JSON Schema 2020-12.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const answer = await fetch(`${process.env.SERVER}/openapi.json`, { headers: { authorization: `Bearer ${process.env.ADMIN}` } });
const document = await answer.json();

test('it is served, and names the routes of jobs, engines and gateways', () => {
  assert.equal(answer.status, 200);
  assert.match(document.openapi, /^3\.1\./);
  const paths = Object.keys(document.paths);
  for (const start of ['/replication/jobs', '/engines', '/v1/sync/']) {
    assert.ok(paths.some((path) => path.startsWith(start)), `no path begins with ${start}: ${paths}`);
  }
});

test('it is valid by the schema of OpenAPI 3.1', async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(document));
  assert.ok(valid, JSON.stringify(errors, null, 1));
});

test('each reference in it leads somewhere', () => {
  const problems = new Validator();
  return problems.validate(structuredClone(document)).then(() => problems.resolveRefs());
});

test('each schema in it is one', () => {
  const ajv = new Ajv({ strict: false, validateFormats: true });
  addFormats(ajv);
  ajv.addFormat('uint64', true).addFormat('int64', true);
  let schemas = 0;
  const look = (node, at) => {
    if (node === null || typeof node !== 'object') return;
    for (const [key, value] of Object.entries(node)) {
      if (key === 'schema') {
        schemas += 1;
        assert.doesNotThrow(() => ajv.compile({ ...value, components: document.components }), `${at}/schema`);
      } else {
        look(value, `${at}/${key}`);
      }
    }
  };
  look(document.paths, '#/paths');
  for (const [name, schema] of Object.entries(document.components?.schemas ?? {})) {
    schemas += 1;
    assert.doesNotThrow(() => ajv.compile({ ...schema, components: document.components }), name);
  }
  assert.ok(schemas > 10, `only ${schemas} schemas were found`);
});
