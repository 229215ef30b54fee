// The shapes in types.ts are the client's: each is compared with the description that the client's own types make.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import ts from 'typescript';
import { expect, it } from 'vitest';

interface Schema {
  $ref?: string;
  type?: string | string[];
  const?: string;
  enum?: string[];
  oneOf?: Schema[];
  anyOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
}

const described = JSON.parse(readFileSync(resolve(import.meta.dirname, '../../../docs/loopback-api/openapi.json'), 'utf8')) as {
  components: { schemas: Record<string, Schema> };
};
const { schemas } = described.components;
/** Where the page has a better word for a thing than the client. */
const CALLED: Record<string, string> = { BackedUp: 'BackupMade', Delivery: 'DeliveryState', LinkingView: 'Linking', Status: 'ConnectionStatus' };
/** What only programs ask for, or the page reads on the spot. */
const NOT_IN_TYPES = ['Heard', 'Words'];

const file = resolve(import.meta.dirname, 'types.ts');
const program = ts.createProgram([file], { strict: true, exactOptionalPropertyTypes: true, target: ts.ScriptTarget.ES2022 });
const checker = program.getTypeChecker();
const compared = new Set<string>();

function resolved(schema: Schema): Schema {
  const name = schema.$ref?.split('/').at(-1);
  if (name === undefined) return schema;
  compared.add(name);
  return schemas[name] ?? {};
}

/** The kinds of value that a schema allows, null apart. */
function variants(schema: Schema): { of: Schema[]; nullable: boolean } {
  const whole = resolved(schema);
  const all = (whole.oneOf ?? whole.anyOf ?? [whole]).map(resolved);
  const types = (one: Schema) => [one.type ?? []].flat();
  const nullable = all.some((one) => types(one).includes('null'));
  const of = all
    .filter((one) => types(one).join() !== 'null')
    .flatMap((one) => one.enum?.map((value): Schema => ({ const: value })) ?? [one]);
  return { of, nullable };
}

const members = (type: ts.Type): ts.Type[] => (type.isUnion() ? type.types : [type]);
const isNull = (type: ts.Type) => (type.flags & ts.TypeFlags.Null) !== 0;
const literal = (type: ts.Type) => (type.isStringLiteral() ? type.value : undefined);

/** What differs between a type and a schema, in words. */
function differences(type: ts.Type, schema: Schema, at: string): string[] {
  const { of, nullable } = variants(schema);
  const shown = members(type).filter((one) => !isNull(one));
  const found = nullable === members(type).some(isNull) ? [] : [`${at}: null on one side only`];
  const [first] = of;
  if (of.every((one) => one.const !== undefined)) {
    const [here, there] = [shown.map((one) => literal(one) ?? '?').sort(), of.map((one) => one.const ?? '').sort()];
    return here.join() === there.join() ? found : [...found, `${at}: ${here.join(' | ')} is ${there.join(' | ')}`];
  }
  if (of.length > 1) return [...found, ...differencesByKind(shown, of, at)];
  if (first === undefined) return [...found, `${at}: nothing is described`];
  return [...found, ...differencesOfOne(type, shown, first, at)];
}

/** Events: told apart by what stands in `type`. */
function differencesByKind(shown: ts.Type[], of: Schema[], at: string): string[] {
  const kindOf = (type: ts.Type) => {
    const kind = type.getProperty('type');
    return kind && literal(checker.getTypeOfSymbol(kind));
  };
  const kinds = new Map(of.map((one) => [one.properties?.['type']?.const, one]));
  const missing = [...kinds.keys()].filter((kind) => !shown.some((one) => kindOf(one) === kind)).map((kind) => `${at}: no ${kind}`);
  return shown.reduce((all, one) => {
    const schema = kinds.get(kindOf(one));
    return [...all, ...(schema ? differences(one, schema, `${at}(${kindOf(one)})`) : [`${at}: ${kindOf(one)} is not described`])];
  }, missing);
}

function differencesOfOne(type: ts.Type, shown: ts.Type[], schema: Schema, at: string): string[] {
  const kind = [schema.type ?? []].flat().find((name) => name !== 'null');
  const flags: Record<string, ts.TypeFlags> = {
    string: ts.TypeFlags.StringLike,
    integer: ts.TypeFlags.NumberLike,
    number: ts.TypeFlags.NumberLike,
    boolean: ts.TypeFlags.BooleanLike,
  };
  const flag = flags[kind ?? ''];
  if (flag !== undefined) return shown.every((one) => (one.flags & flag) !== 0) ? [] : [`${at}: is ${kind}`];
  const [only] = shown;
  if (only === undefined) return [`${at}: is ${kind}`];
  if (kind === 'array') {
    const element = checker.getIndexTypeOfType(only, ts.IndexKind.Number);
    return element ? differences(element, schema.items ?? {}, `${at}[]`) : [`${at}: is a list`];
  }
  return differencesOfObject(only, schema, at, type);
}

function differencesOfObject(type: ts.Type, schema: Schema, at: string, whole: ts.Type): string[] {
  const described = schema.properties ?? {};
  const properties = checker.getPropertiesOfType(type);
  const names = new Set(properties.map((property) => property.name));
  const missing = Object.keys(described).filter((name) => !names.has(name));
  return properties.reduce(
    (all, property) => {
      const here = `${at}.${property.name}`;
      const one = described[property.name];
      if (!one) return [...all, `${here}: is not described`];
      const optional = (property.flags & ts.SymbolFlags.Optional) !== 0;
      const mayMiss = !schema.required?.includes(property.name);
      const wrong = optional === mayMiss ? [] : [`${here}: ${mayMiss ? 'may' : 'cannot'} be missing`];
      const inner = checker.getTypeOfSymbol(property);
      const given = optional ? checker.getNonNullableType(inner) : inner;
      return [...all, ...wrong, ...differences(given, one, here)];
    },
    missing.map((name) => `${at}.${name}: is missing in ${checker.typeToString(whole)}`),
  );
}

const source = program.getSourceFile(file);
const exported = new Map(
  checker.getExportsOfModule(checker.getSymbolAtLocation(source!)!).map((symbol) => [symbol.name, checker.getDeclaredTypeOfSymbol(symbol)]),
);

it('has every shape that the client describes, with the same fields', () => {
  const found: string[] = [];
  for (const [name, schema] of Object.entries(schemas)) {
    const type = exported.get(CALLED[name] ?? name);
    if (type === undefined) continue;
    compared.add(name);
    found.push(...differences(type, schema, name));
  }
  expect(found).toEqual([]);
  expect(Object.keys(schemas).filter((name) => !compared.has(name))).toEqual(NOT_IN_TYPES);
});
