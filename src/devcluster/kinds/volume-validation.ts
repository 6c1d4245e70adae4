/** The common mistakes of a volume, in the words of pkg/apis/core/validation/validation.go. */
import type { Volume } from '../../core/objects.ts';
import { Quantity } from '../../core/quantity.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired, type FieldError } from '../api-error.ts';
import { fieldPathError, relativePathError } from './field-formats.ts';

interface Item {
  readonly key?: string;
  readonly path: string;
  readonly mode?: number;
}

const hostPathTypes = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];

export function validateVolumeSource(volume: Volume, at: string): FieldError[] {
  const { name: _name, ...sources } = volume;
  const given = Object.keys(sources);
  const errors: FieldError[] = given
    .slice(1)
    .map((extra) => fieldForbidden(`${at}.${extra}`, 'may not specify more than 1 volume type'));
  if (errors.length > 0) return errors;
  const { configMap, secret, hostPath, persistentVolumeClaim, emptyDir, downwardAPI, projected } = volume;
  if (configMap !== undefined) {
    if (!configMap.name) errors.push(fieldRequired(`${at}.configMap.name`));
    errors.push(...validateFiles(configMap, `${at}.configMap`));
  }
  if (secret !== undefined) {
    if (!secret.secretName) errors.push(fieldRequired(`${at}.secret.secretName`));
    errors.push(...validateFiles(secret, `${at}.secret`));
  }
  if (hostPath !== undefined) {
    if (!hostPath.path) errors.push(fieldRequired(`${at}.hostPath.path`));
    else if (hostPath.path.split('/').includes('..'))
      errors.push(fieldInvalid(`${at}.hostPath.path`, hostPath.path, "must not contain '..'"));
    if (!hostPathTypes.includes(hostPath.type ?? ''))
      errors.push(fieldNotSupported(`${at}.hostPath.type`, hostPath.type, hostPathTypes));
  }
  if (persistentVolumeClaim !== undefined && !persistentVolumeClaim.claimName)
    errors.push(fieldRequired(`${at}.persistentVolumeClaim.claimName`));
  if (emptyDir?.sizeLimit !== undefined && Quantity.parse(emptyDir.sizeLimit).nanos < 0n)
    errors.push(fieldForbidden(`${at}.emptyDir.sizeLimit`, 'SizeLimit field must be a valid resource quantity'));
  if (downwardAPI !== undefined) errors.push(...validateDownward(downwardAPI, `${at}.downwardAPI`));
  if (projected !== undefined) errors.push(...validateProjected(projected, `${at}.projected`));
  return errors;
}

function validateFiles({ items, defaultMode }: { items?: Item[]; defaultMode?: number }, at: string): FieldError[] {
  const errors = validateMode(defaultMode, `${at}.defaultMode`);
  for (const [i, { key, path, mode }] of (items ?? []).entries()) {
    const here = `${at}.items[${i}]`;
    if (!key) errors.push(fieldRequired(`${here}.key`));
    errors.push(...validatePath(path, `${here}.path`), ...validateMode(mode, `${here}.mode`));
  }
  return errors;
}

function validatePath(path: string, at: string): FieldError[] {
  if (!path) return [fieldRequired(at)];
  const wrong = relativePathError(path);
  return wrong === undefined ? [] : [fieldInvalid(at, path, wrong)];
}

function validateMode(mode: number | undefined, at: string): FieldError[] {
  return mode !== undefined && (mode < 0 || mode > 0o777)
    ? [fieldInvalid(at, mode, 'must be a number between 0 and 0777 (octal), both inclusive')]
    : [];
}

function validateDownward(source: NonNullable<Volume['downwardAPI']>, at: string): FieldError[] {
  const errors = validateMode(source.defaultMode, `${at}.defaultMode`);
  for (const { path, fieldRef, resourceFieldRef, mode } of source.items ?? []) {
    errors.push(...validatePath(path, `${at}.path`), ...validateMode(mode, `${at}.mode`));
    if (fieldRef !== undefined) {
      const wrong = fieldPathError(fieldRef.fieldPath);
      if (wrong !== undefined) errors.push(fieldInvalid(`${at}.fieldRef.fieldPath`, fieldRef.fieldPath, wrong));
    } else if (resourceFieldRef !== undefined) {
      if (!resourceFieldRef.containerName) errors.push(fieldRequired(`${at}.resourceFieldRef.containerName`));
    } else errors.push(fieldRequired(at, 'one of fieldRef and resourceFieldRef is required'));
  }
  return errors;
}

function validateProjected(source: NonNullable<Volume['projected']>, at: string): FieldError[] {
  const errors = validateMode(source.defaultMode, `${at}.defaultMode`);
  const taken = new Set<string>();
  for (const [i, { configMap, secret, serviceAccountToken, downwardAPI }] of (source.sources ?? []).entries()) {
    const here = `${at}.sources[${i}]`;
    for (const [field, files] of Object.entries({ secret, configMap })) {
      if (files === undefined) continue;
      if (!files.name) errors.push(fieldRequired(`${here}.${field}.name`));
      errors.push(...validateFiles(files, `${here}.${field}`));
      for (const { path } of files.items ?? []) {
        if (taken.has(path)) errors.push(fieldInvalid(at, files.name, 'conflicting duplicate paths'));
        taken.add(path);
      }
    }
    if (downwardAPI !== undefined) errors.push(...validateDownward(downwardAPI, `${here}.downwardAPI`));
    if (serviceAccountToken === undefined) continue;
    const token = `${here}.serviceAccountToken`;
    const { expirationSeconds = 3600, path } = serviceAccountToken;
    if (expirationSeconds < 600)
      errors.push(
        fieldInvalid(
          `${token}.expirationSeconds`,
          expirationSeconds,
          'may not specify a duration less than 10 minutes',
        ),
      );
    errors.push(...validatePath(path, `${token}.path`));
  }
  return errors;
}
